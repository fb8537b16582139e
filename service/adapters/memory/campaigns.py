"""Twins of the campaigns and their batches in the commands table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.adapters.memory.idempotency import MemoryOnce
from service.adapters.memory.newest_first import newest_first
from service.domain.campaigns import BatchPage, CampaignPage, CampaignRecord
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.campaigns import (
        Batch,
        BatchTally,
        CampaignClosing,
        CampaignFilter,
    )
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryCampaignRecords:
    """Campaigns by tenant and id."""

    once: MemoryOnce[CampaignRecord] = field(default_factory=MemoryOnce[CampaignRecord])

    async def create(
        self, tenant: Tenant, record: CampaignRecord, key: IdempotencyKey | None
    ) -> CampaignRecord:
        return self.once.create(tenant.id, record.campaign_id, record, key)

    async def settle(self, tenant: Tenant, record: CampaignRecord) -> None:
        known = self.once.records[tenant.id, record.campaign_id]
        if known.step != record.step - 1:
            return
        settled = replace(
            record,
            begun=known.begun,
            batch_at=known.batch_at,
            closing=known.closing,
            why=known.why,
            canceled_by=known.canceled_by,
        )
        self.once.settle(tenant.id, record.campaign_id, settled)

    async def read(self, tenant: Tenant, campaign_id: str) -> CampaignRecord | None:
        return self.once.records.get((tenant.id, campaign_id))

    async def begin_batch(
        self, tenant: Tenant, record: CampaignRecord, number: int, *, at_ms: int
    ) -> bool:
        known = self.once.records[tenant.id, record.campaign_id]
        if known.closing is not None or known.begun not in {number, number + 1}:
            return False
        begun = replace(known, begun=number + 1, batch_at=at_ms)
        self.once.settle(tenant.id, record.campaign_id, begun)
        return True

    async def close(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        closing: CampaignClosing,
        *,
        why: str | None = None,
        by: str | None = None,
    ) -> bool:
        known = self.once.records[tenant.id, record.campaign_id]
        if known.closing is not None:
            return False
        closed = replace(known, closing=closing, why=why, canceled_by=by)
        self.once.settle(tenant.id, record.campaign_id, closed)
        return True

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CampaignFilter
    ) -> CampaignPage:
        known = {id_: one for (owner, id_), one in self.once.records.items() if owner == tenant.id}

        def shows(id_: str) -> bool:
            one = known[id_]
            return wanted.shows(one.name, one.target.group or "", one.created_by)

        ids, behind = newest_first(known, shows, limit=limit, cursor=cursor)
        return CampaignPage(records=tuple(known[id_] for id_ in ids), cursor=behind)


@dataclass(kw_only=True)
class MemoryCampaignBatches:
    """Batches by tenant, campaign and number."""

    kept: dict[tuple[str, str, int], Batch] = field(
        default_factory=dict[tuple[str, str, int], "Batch"]
    )
    tallied: dict[tuple[str, str, int], BatchTally] = field(
        default_factory=dict[tuple[str, str, int], "BatchTally"]
    )

    async def plan(self, tenant: Tenant, record: CampaignRecord, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.kept[_key(tenant, record, batch.number)] = batch

    async def read(self, tenant: Tenant, record: CampaignRecord, number: int) -> Batch | None:
        return self.kept.get(_key(tenant, record, number))

    async def prepare(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> Batch:
        known = self.kept[_key(tenant, record, batch.number)]
        if known.prepared_at is not None:
            return known
        await self.store(tenant, record, batch)
        return batch

    async def store(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> None:
        key = _key(tenant, record, batch.number)
        self.kept[key] = batch
        self.tallied[key] = batch.tally

    async def tallies(self, tenant: Tenant, record: CampaignRecord) -> Sequence[BatchTally]:
        own = (tenant.id, record.campaign_id)
        return [tally for key, tally in sorted(self.tallied.items()) if key[:2] == own]

    async def page(
        self, tenant: Tenant, record: CampaignRecord, *, limit: int, cursor: str | None
    ) -> BatchPage:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        own = (tenant.id, record.campaign_id)
        devices = [
            one
            for key, batch in sorted(self.kept.items())
            if key[:2] == own
            for one in batch.devices
        ]
        start = int((cursor or "0")[:9])
        after = start + limit
        return BatchPage(
            devices=tuple(devices[start:after]), cursor=str(after) if after < len(devices) else None
        )


def _key(tenant: Tenant, record: CampaignRecord, number: int) -> tuple[str, str, int]:
    return tenant.id, record.campaign_id, number
