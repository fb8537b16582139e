"""A twin of the commands that were declared at run time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.command_types import CommandTypeRecord
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryCommandTypes:
    """Command types by tenant and name."""

    rows: dict[tuple[str, str], CommandTypeRecord] = field(
        default_factory=dict[tuple[str, str], "CommandTypeRecord"]
    )

    async def named(self, tenant: Tenant, names: Iterable[str]) -> tuple[CommandTypeRecord, ...]:
        return tuple(self.rows[tenant.id, name] for name in names if (tenant.id, name) in self.rows)

    async def every(self, tenant: Tenant) -> tuple[CommandTypeRecord, ...]:
        rows = sorted(self.rows.items(), key=lambda item: item[0])
        return tuple(record for (owner, _), record in rows if owner == tenant.id)

    async def put(self, tenant: Tenant, record: CommandTypeRecord) -> CommandTypeRecord | None:
        known = self.rows.get((tenant.id, record.name))
        if (known.version if known else 0) != record.version:
            return None
        stored = replace(record, version=record.version + 1)
        self.rows[tenant.id, record.name] = stored
        return stored
