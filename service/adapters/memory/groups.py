"""A twin of the groups that were made at run time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.group_records import GroupRecord
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryGroups:
    """Groups by tenant and id."""

    rows: dict[tuple[str, str], GroupRecord] = field(
        default_factory=dict[tuple[str, str], "GroupRecord"]
    )

    async def named(self, tenant: Tenant, groups: Iterable[str]) -> tuple[GroupRecord, ...]:
        return tuple(
            self.rows[tenant.id, group] for group in groups if (tenant.id, group) in self.rows
        )

    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int | None
    ) -> tuple[GroupRecord, ...]:
        rows = sorted(self.rows.items(), key=lambda item: item[0])
        found = [
            record
            for (owner, group), record in rows
            if owner == tenant.id and (after is None or group > after)
        ]
        if limit is not None:
            found = [record for record in found if record.counts][:limit]
        return tuple(found)

    async def put(self, tenant: Tenant, record: GroupRecord) -> GroupRecord | None:
        known = self.rows.get((tenant.id, record.id))
        if (known.version if known else 0) != record.version:
            return None
        stored = replace(record, version=record.version + 1)
        self.rows[tenant.id, record.id] = stored
        return stored
