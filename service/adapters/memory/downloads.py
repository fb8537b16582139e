"""Twins of the downloads in the commands table, and of the jobs that deliver them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.adapters.memory.idempotency import MemoryOnce
from service.domain.downloads import DeliveryState, DownloadProgress, DownloadRecord
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryDownloadRecords:
    """Downloads."""

    once: MemoryOnce[DownloadRecord] = field(default_factory=MemoryOnce[DownloadRecord])

    async def create(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        key: IdempotencyKey | None,
    ) -> DownloadRecord:
        return self.once.create(tenant.id, record.download_id, record, key)

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        self.once.settle(tenant.id, record.download_id, record)

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        return self.once.records.get((tenant.id, download_id))


@dataclass(kw_only=True)
class MemoryDownloadJobs:
    """Jobs by id; ``available = False`` makes starting fail.

    ``progress_of`` is what the devices would report.
    """

    started: dict[str, DownloadRecord] = field(default_factory=dict[str, DownloadRecord])
    progress_of: dict[str, DownloadProgress] = field(default_factory=dict[str, DownloadProgress])
    available: bool = True

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:
        if not self.available:
            raise UnavailableError("the jobs service")
        self.started[record.job_id] = record

    async def progress(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        *,
        limit: int,
        cursor: str | None,
    ) -> DownloadProgress | None:
        if record.job_id not in self.started:
            return None
        return self.progress_of.get(record.job_id, DownloadProgress(state=DeliveryState.QUEUED))
