"""The tenant's groups of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.groups import DeviceGroup
    from service.domain.tenants import Tenant


class DeviceGroups(Protocol):
    """Groups and who is in them, as the registry has it at this moment."""

    async def find(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        """One group, or ``None`` if the tenant has no such group."""
        ...

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        """Ids of the devices of a group and of its groups, in no order.

        At most ``limit`` + 1, so that too many can be told. A thing of the tenant whose name is no
        device's is left out: whoever acts on the members acts on these alone.
        """
        ...
