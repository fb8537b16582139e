"""Downloads as recorded, their deliveries to devices, and the jobs that make these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.downloads import DownloadRecord
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.attempts import Attempts, Survey
    from service.domain.downloads import (
        Closing,
        Delivery,
        DeliveryJob,
        DownloadFilter,
        DownloadPage,
        DownloadProgress,
        Outcome,
    )
    from service.domain.tenants import Tenant


class DownloadRecords(OnceRecords[DownloadRecord], Protocol):
    """Downloads as recorded."""

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """A record, or ``None``."""
        ...

    async def close(
        self, tenant: Tenant, record: DownloadRecord, closing: Closing, *, why: str | None = None
    ) -> bool:
        """Have no further job of it made, durably; ``False``: it was closed before."""
        ...

    async def pause(self, tenant: Tenant, record: DownloadRecord, *, at_ms: int | None) -> bool:
        """Have no job of it made since then, or, with ``None``, again; ``False``: it is closed."""
        ...

    async def approve(
        self, tenant: Tenant, record: DownloadRecord, *, by: str, groups: tuple[str, ...]
    ) -> bool:
        """Store who approved it, in these groups; ``False``: somebody did, or it is closed."""
        ...

    async def begin_wave(
        self, tenant: Tenant, record: DownloadRecord, wave: int, *, at_ms: int
    ) -> bool:
        """Store when a wave began; ``False``: it has begun, or the download is closed or paused."""
        ...

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: DownloadFilter
    ) -> DownloadPage:
        """Downloads of the tenant, the newest first.

        One that a filter empties may have a cursor all the same: the work of a request is bounded.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
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
        """One job with the devices of it that ended, or ``None``; nothing of its rounds."""
        ...

    async def attempts(self, tenant: Tenant, record: DownloadRecord, number: int) -> Attempts:
        """One job with its rounds, each with the devices of it that ended; empty: there is none."""
        ...

    async def retry(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        """Store a round of a job that shall be made; ``False``: there is one of its number."""
        ...

    async def of_device(
        self, tenant: Tenant, record: DownloadRecord, device_id: str
    ) -> Delivery | None:
        """The part of one device in a download, or ``None`` if it is not for that device."""
        ...

    async def made(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        """Store that a job was made; the first time counts. What was canceled before is not."""
        ...

    async def decided(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        """Store that the policies were asked for the devices of a job, which is made now."""
        ...

    async def canceled(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        """Store that what had not begun of a job was canceled."""
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

    async def audited(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        """Store that the audit trail tells of these ends."""
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

    async def cancel(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        """Have devices that have not begun begin no more; a job that has ended is fine.

        Returns:
            Whether there is such a job.
        """
        ...

    async def outcomes(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> Mapping[str, Outcome | None]:
        """How devices ended, as the Jobs service itself knows it; asked rarely.

        Returns:
            ``None`` of one that has not ended; a device that it does not know is left out.
        """
        ...

    async def waiting(self, tenant: Tenant, device_id: str) -> Sequence[tuple[str, str]]:
        """Jobs that wait for a device, or that it is at: id of the download, mark of the job."""
        ...

    async def withdraw(
        self, tenant: Tenant, device_id: str, job: tuple[str, str], *, why: str
    ) -> None:
        """End a job for this device alone, also if it is at it; one that has ended is fine."""
        ...
