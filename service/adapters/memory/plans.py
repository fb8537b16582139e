"""A twin of the plans in the commands table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.plans import PlannedPage
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.plans import Plan, PlannedDevice
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryPlans:
    """Plans by tenant and id, each with its devices."""

    kept: dict[tuple[str, str], tuple[Plan, tuple[PlannedDevice, ...]]] = field(
        default_factory=dict[tuple[str, str], "tuple[Plan, tuple[PlannedDevice, ...]]"]
    )

    async def store(self, tenant: Tenant, plan: Plan, devices: Sequence[PlannedDevice]) -> None:
        self.kept[tenant.id, plan.plan_id] = (plan, tuple(devices))

    async def read(self, tenant: Tenant, plan_id: str) -> Plan | None:
        found = self.kept.get((tenant.id, plan_id))
        return found[0] if found else None

    async def page(
        self, tenant: Tenant, plan: Plan, *, limit: int, cursor: str | None
    ) -> PlannedPage:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        start, devices = int(cursor or 0), await self.devices(tenant, plan)
        after = start + limit
        return PlannedPage(
            devices=tuple(devices[start:after]), cursor=str(after) if after < len(devices) else None
        )

    async def devices(self, tenant: Tenant, plan: Plan) -> Sequence[PlannedDevice]:
        return self.kept[tenant.id, plan.plan_id][1]
