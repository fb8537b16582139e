"""Twins of the wishes, their batches, and of what devices run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import Batch, Running, WantedVersion


@dataclass(kw_only=True)
class MemoryWantedVersions:
    """Wishes by tenant, package and group; batches by tenant and wish."""

    rows: dict[tuple[str, str, str], WantedVersion] = field(
        default_factory=dict[tuple[str, str, str], "WantedVersion"]
    )
    taken: dict[tuple[str, str], dict[str, Batch]] = field(
        default_factory=dict[tuple[str, str], "dict[str, Batch]"]
    )

    async def of_package(self, tenant: Tenant, package: str) -> tuple[WantedVersion, ...]:
        return tuple(one for one in await self.every(tenant) if one.package == package)

    async def every(self, tenant: Tenant) -> tuple[WantedVersion, ...]:
        rows = sorted(self.rows.items(), key=lambda item: item[0])
        return tuple(one for (owner, *_), one in rows if owner == tenant.id)

    async def put(
        self, tenant: Tenant, wish: WantedVersion, *, batch: Batch | None = None
    ) -> WantedVersion | None:
        key = (tenant.id, wish.package, wish.group)
        known = self.rows.get(key)
        if (known.revision if known else 0) != wish.revision:
            return None
        stored = replace(wish, revision=wish.revision + 1)
        self.rows[key] = stored
        if batch is not None:
            self.taken.setdefault((tenant.id, wish.wish_id), {})[batch.download_id] = batch
        return stored

    async def batches(self, tenant: Tenant, wish_id: str) -> tuple[Batch, ...]:
        return tuple(self.taken.get((tenant.id, wish_id), {}).values())

    async def settle(self, tenant: Tenant, batch: Batch) -> None:
        self.taken[tenant.id, batch.wish_id][batch.download_id] = batch


@dataclass(kw_only=True)
class MemoryRunningVersions:
    """What devices run, by tenant, package and device."""

    rows: dict[tuple[str, str, str], Running] = field(
        default_factory=dict[tuple[str, str, str], "Running"]
    )

    async def of_package(self, tenant: Tenant, package: str) -> Mapping[str, Running]:
        return {one.device: one for one in await self.every(tenant) if one.package == package}

    async def every(self, tenant: Tenant) -> tuple[Running, ...]:
        rows = sorted(self.rows.items(), key=lambda item: item[0])
        return tuple(one for (owner, *_), one in rows if owner == tenant.id)

    async def find(self, tenant: Tenant, package: str, device_id: str) -> Running | None:
        return self.rows.get((tenant.id, package, device_id))

    async def tell(self, tenant: Tenant, running: Running) -> None:
        key = (tenant.id, running.package, running.device)
        known = self.rows.get(key)
        if known is None or known.at < running.at:
            self.rows[key] = running
