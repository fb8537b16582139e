"""Campaigns as recorded, and the batches of devices that they go out in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.campaigns import CampaignRecord
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.campaigns import (
        Batch,
        BatchPage,
        BatchTally,
        CampaignClosing,
        CampaignFilter,
        CampaignPage,
    )
    from service.domain.tenants import Tenant


class CampaignRecords(OnceRecords[CampaignRecord], Protocol):
    """Campaigns as recorded.

    ``settle`` stores how far the worker came: all that is counted, with ``step`` one up; it changes
    nothing if the step is another than the one before by now, since somebody else was first.
    """

    async def read(self, tenant: Tenant, campaign_id: str) -> CampaignRecord | None:
        """A record, or ``None``."""
        ...

    async def begin_batch(
        self, tenant: Tenant, record: CampaignRecord, number: int, *, at_ms: int
    ) -> bool:
        """Store that a batch is begun, for the first time or again; ``False``: it must not be.

        It must not once the campaign is closed: of a cancel and the beginning of a batch one is
        first.
        """
        ...

    async def close(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        closing: CampaignClosing,
        *,
        why: str | None = None,
        by: str | None = None,
    ) -> bool:
        """Have no further batch of it begun, durably; ``False``: it was closed before.

        Args:
            tenant: whose it is.
            record: as read.
            closing: why.
            why: in words.
            by: entity id of who asked for it.
        """
        ...

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CampaignFilter
    ) -> CampaignPage:
        """Campaigns of the tenant, the newest first.

        One that a filter empties may have a cursor all the same: the work of a request is bounded.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...


class CampaignBatches(Protocol):
    """The devices of campaigns, and what became of each."""

    async def plan(self, tenant: Tenant, record: CampaignRecord, batches: Sequence[Batch]) -> None:
        """Store the batches that shall be sent, durably."""
        ...

    async def read(self, tenant: Tenant, record: CampaignRecord, number: int) -> Batch | None:
        """One batch, or ``None``."""
        ...

    async def prepare(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> Batch:
        """Store a batch with the ids of its commands, unless it has some; the batch as stored."""
        ...

    async def store(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> None:
        """Store what became of the devices of a prepared batch, with its tally."""
        ...

    async def tallies(self, tenant: Tenant, record: CampaignRecord) -> Sequence[BatchTally]:
        """Those of all batches that were begun."""
        ...

    async def page(
        self, tenant: Tenant, record: CampaignRecord, *, limit: int, cursor: str | None
    ) -> BatchPage:
        """Devices in the order in which they are sent to.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...
