"""Twin of the logs in the tenants' buckets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.domain.device_logs import DeviceLog, LogPage, command_of, log_folder
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryDeviceLogs:
    """Logs by tenant and key: their size and when they came, in seconds since the epoch."""

    objects: dict[tuple[str, str], tuple[int, float]] = field(
        default_factory=dict[tuple[str, str], tuple[int, float]]
    )
    available: bool = True

    async def sign_upload(self, tenant: Tenant, key: str, *, seconds: int) -> wire.LogUpload:
        if not self.available:
            raise UnavailableError("the tenant's bucket", is_lost=False)
        return wire.LogUpload(
            url=f"https://{tenant.bucket}.example/",
            fields={"key": key, "signature": f"secret-for-{seconds}"},
            max_bytes=wire.MAX_LOGS_BYTES,
        )

    async def page(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None, url_seconds: int
    ) -> LogPage:
        keys = sorted(
            key
            for owner, key in self.objects
            if owner == tenant.id and key.startswith(log_folder(device_id))
        )
        rest = [key for key in keys if cursor is None or key > cursor]
        logs: list[DeviceLog] = []
        for key in rest[:limit]:
            size, at = self.objects[tenant.id, key]
            url = f"https://{tenant.bucket}.example/{key}?seconds={url_seconds}"
            command_id = command_of(device_id, key) or ""
            logs.append(
                DeviceLog(command_id=command_id, size=size, received_at=at, url=url, until=at + 300)
            )
        return LogPage(logs=tuple(logs), cursor=rest[limit - 1] if len(rest) > limit else None)
