"""Downloads as recorded, and their delivery to the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.downloads import DownloadRecord
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from service.domain.downloads import DownloadProgress
    from service.domain.tenants import Tenant


class DownloadRecords(OnceRecords[DownloadRecord], Protocol):
    """Downloads as recorded."""

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
