"""Twin of the rows that the telemetry rule writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.domain.telemetry import LastValue, LastValues

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryTelemetry:
    """Last values, by tenant, device and topic."""

    rows: dict[tuple[str, str, str], LastValue] = field(
        default_factory=dict[tuple[str, str, str], LastValue]
    )

    def write(self, tenant_id: str, device_id: str, value: LastValue) -> None:
        """What the rule does with a message."""
        self.rows[tenant_id, device_id, value.topic] = value

    async def last_values(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None
    ) -> LastValues:
        found = sorted(
            (value for key, value in self.rows.items() if key[:2] == (tenant.id, device_id)),
            key=lambda value: value.topic,
        )
        rest = [value for value in found if cursor is None or value.topic > cursor]
        shown = tuple(rest[:limit])
        return LastValues(values=shown, cursor=shown[-1].topic if len(rest) > len(shown) else None)
