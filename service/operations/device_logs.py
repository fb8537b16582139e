"""Have devices send their logs, and let who may have them sent read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.domain.device_logs import log_key
from service.domain.permissions import Permission
from service.operations.devices import find_device

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord, DirectAnswer
    from service.domain.device_logs import LogPage
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.commands import CommandBroker
    from service.ports.device_logs import DeviceLogs
    from service.ports.devices import DeviceFacts

READ_SECONDS: Final = 300  # for which the URL of a log holds
UPLOAD_SECONDS: Final = 240
"""For a device that began at the last moment: it packs and sends in this time."""
# What signs ends with its credentials, which are renewed a quarter of an hour before their end
# (docs: S3 user guide, "Download and upload objects with presigned URLs").
_MOST_SECONDS: Final = 900


@dataclass(frozen=True, kw_only=True)
class CommandsWithForms:
    """Answers ``ports.CommandBroker``: adds to ``upload-logs``, as it leaves, where logs go.

    Each time anew, so the credential stands in no record, and lasts for minutes.

    Attributes:
        broker: the way to the devices.
        logs: signs.
    """

    broker: CommandBroker
    logs: DeviceLogs

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        """As the broker's, with the form."""
        told = await self._with_form(tenant, record, now_ms)
        return await self.broker.send_direct(tenant, told, now_ms=now_ms)

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """As the broker's."""
        await self.broker.cancel(tenant, record, now_ms=now_ms)

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """As the broker's, with the form."""
        told = await self._with_form(tenant, record, now_ms)
        await self.broker.publish(tenant, told, now_ms=now_ms)

    async def _with_form(self, tenant: Tenant, record: CommandRecord, now_ms: int) -> CommandRecord:
        if record.name != wire.UPLOAD_LOGS:
            return record
        left = max(0, record.expires_at - now_ms) // 1000
        upload = await self.logs.sign_upload(
            tenant,
            log_key(record.device, record.command_id, record.created_at),
            seconds=min(_MOST_SECONDS, left + UPLOAD_SECONDS),
        )
        return replace(record, arguments=upload.arguments())


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The logs of the devices of the caller's tenant."""

    devices: DeviceFacts
    logs: DeviceLogs

    async def page(
        self, access: Access, device_id: str, *, limit: int, cursor: str | None
    ) -> LogPage:
        """One page of what a device sent, the newest first.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            InvalidRequestError: the cursor is not one of ours.
        """
        tenant = access.principal.tenant
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.COLLECT_LOGS, device.entities(tenant.groups))
        return await self.logs.page(
            tenant, device.id, limit=limit, cursor=cursor, url_seconds=READ_SECONDS
        )
