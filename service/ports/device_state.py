"""The state of devices, which the cloud keeps for those that are away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cedarfleet_device import wire

    from service.domain.device_state import DeviceState
    from service.domain.tenants import Tenant


class DeviceStates(Protocol):
    """One shadow a device."""

    async def read(self, tenant: Tenant, device_id: str) -> DeviceState:
        """The state as it stands; version 0 where there is none."""
        ...

    async def change(
        self,
        tenant: Tenant,
        device_id: str,
        desired: Mapping[str, wire.DesiredState | None],
        *,
        version: int,
    ) -> None:
        """Ask for these keys, and for no other; ``None`` asks for nothing any more.

        Args:
            tenant: whose.
            device_id: of a device that it has.
            desired: by key.
            version: that the state has now.

        Raises:
            ConflictError: it has another one.
            InvalidRequestError: the whole would be larger than a shadow may be.
        """
        ...
