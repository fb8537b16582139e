"""Downloads as recorded, and their delivery to the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.downloads import DownloadProgress, DownloadRecord
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


class DownloadRecords(Protocol):
    """Downloads as recorded."""

    async def create(
        self, tenant: Tenant, record: DownloadRecord, key: IdempotencyKey | None
    ) -> DownloadRecord:
        """As ``CommandRecords.create``."""
        ...

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        """Store the record's state and failure."""
        ...

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """A record, or ``None``."""
        ...


class DownloadJobs(Protocol):
    """Durable delivery of a file to each device of a target."""

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:
        """Create the job; a job that exists already is fine.

        Raises:
            UpstreamError: not created, or not confirmed.
        """
        ...

    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        """How far the devices came, or ``None`` if there is no such job.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...
