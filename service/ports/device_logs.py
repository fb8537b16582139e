"""Logs that devices send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cedarfleet_device import wire

    from service.domain.device_logs import LogPage
    from service.domain.tenants import Tenant


class DeviceLogs(Protocol):
    """The tenant's own place for logs."""

    async def sign_upload(self, tenant: Tenant, key: str, *, seconds: int) -> wire.LogUpload:
        """What lets whoever has it write one object, under this key and of a bounded size.

        Args:
            tenant: whose.
            key: of the object.
            seconds: for which it holds, at most.
        """
        ...

    async def page(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None, url_seconds: int
    ) -> LogPage:
        """A device's logs, the newest first, each with a URL that reads it.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        ...
