"""Downloads as recorded, their deliveries to devices, and the jobs that make these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.downloads import DownloadRecord
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.downloads import DeliveryJob, DownloadProgress, Outcome, Survey
    from service.domain.tenants import Tenant


class DownloadRecords(OnceRecords[DownloadRecord], Protocol):
    """Downloads as recorded."""

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """A record, or ``None``."""
        ...


class Deliveries(Protocol):
    """Jobs of downloads, and how each device of them ended, as it was told."""

    async def plan(
        self, tenant: Tenant, record: DownloadRecord, jobs: Sequence[DeliveryJob]
    ) -> None:
        """Store the jobs that shall be made, durably."""
        ...

    async def job(
        self, tenant: Tenant, record: DownloadRecord, number: int
    ) -> tuple[DeliveryJob, Mapping[str, Outcome]] | None:
        """One job with the devices of it that ended, or ``None``."""
        ...

    async def made(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        """Store that a job was made; the first time counts."""
        ...

    async def tell(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        """Store how devices ended of which no event has told."""
        ...

    async def survey(self, tenant: Tenant, record: DownloadRecord) -> Survey:
        """All jobs at a glance."""
        ...

    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress:
        """How far the devices came, a page of them at a time.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...


class DownloadJobs(Protocol):
    """Durable delivery of a file to each device of a job; each call is safe to repeat."""

    async def make(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> None:
        """Make the job; one that exists already is fine.

        Raises:
            ConflictError: a device of it is no more.
            UpstreamError: not made, or not confirmed.
        """
        ...

    async def cancel(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> None:
        """Have devices that have not begun begin no more; a job that has ended is fine."""
        ...

    async def outcomes(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> Mapping[str, Outcome]:
        """How devices ended, as the Jobs service itself knows it; asked rarely."""
        ...
