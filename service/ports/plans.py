"""Plans of rollouts, kept for a bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.plans import Plan, PlannedDevice, PlannedPage
    from service.domain.tenants import Tenant


class Plans(Protocol):
    """What was planned; nothing of it changes."""

    async def store(self, tenant: Tenant, plan: Plan, devices: Sequence[PlannedDevice]) -> None:
        """Store a plan and what it says of each device, durably."""
        ...

    async def read(self, tenant: Tenant, plan_id: str) -> Plan | None:
        """A plan, or ``None``; one whose time is over may still be there."""
        ...

    async def page(
        self, tenant: Tenant, plan: Plan, *, limit: int, cursor: str | None
    ) -> PlannedPage:
        """Devices of a plan, those that are hidden too.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def devices(self, tenant: Tenant, plan: Plan) -> Sequence[PlannedDevice]:
        """All devices of a plan, in the order of their ids."""
        ...
