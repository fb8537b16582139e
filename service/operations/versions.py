"""Which versions of which packages the fleet runs, and which devices run one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.cedar.entities import ROOT_GROUP, tenant_entity
from service.domain.groups import DeviceGroup
from service.domain.permissions import Permission
from service.domain.wanted_versions import check_package, runs
from service.errors import InvalidRequestError, NotFoundError
from service.operations.bringing import MOST_MEMBERS

if TYPE_CHECKING:
    from service.domain.wanted_versions import Running
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.wanted_versions import RunningVersions


@dataclass(frozen=True, kw_only=True)
class VersionCount:
    """How many devices run a version, of those that the caller may view."""

    package: str
    version: str
    devices: int


@dataclass(frozen=True, kw_only=True)
class RunningPage:
    """Devices in the order of their ids; ``cursor`` asks for the next page."""

    devices: tuple[Running, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the devices of the caller's tenant run, as they said or as was delivered to them."""

    devices: DeviceFacts
    running: RunningVersions

    async def counts(self, access: Access, package: str | None) -> tuple[VersionCount, ...]:
        """Versions with the number of devices that run them, by package and version.

        Devices are counted that the caller may view.

        Args:
            access: of the caller.
            package: of this one alone; ``None``: of all.

        Raises:
            InvalidRequestError: the package is not of its form.
            PermissionDeniedError: a policy forbids to list.
        """
        if package is not None:
            check_package(package)
        shown = await self._shown(access, package)
        counts = Counter((one.package, one.version) for one in shown)
        return tuple(
            VersionCount(package=of, version=version, devices=count)
            for (of, version), count in sorted(counts.items())
        )

    async def page(
        self,
        access: Access,
        package: str,
        *,
        version: str | None,
        limit: int,
        cursor: str | None,
    ) -> RunningPage:
        """Devices that run a package, those that the caller may view.

        Args:
            access: of the caller.
            package: which.
            version: this one alone; ``None``: any.
            limit: devices of the page.
            cursor: the id behind which the page begins.

        Raises:
            InvalidRequestError: package or cursor are not of their form.
            NotFoundError: no device that the caller may view runs any version of it.
            PermissionDeniedError: a policy forbids to list.
        """
        check_package(package)
        if cursor is not None and not wire.is_device_id(cursor):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        shown = sorted(await self._shown(access, package), key=lambda one: one.device)
        if not shown:
            raise NotFoundError("package", package)
        wanted = [one for one in shown if version in (None, one.version)]
        behind = [one for one in wanted if cursor is None or one.device > cursor]
        page = tuple(behind[:limit])
        return RunningPage(devices=page, cursor=page[-1].device if len(behind) > limit else None)

    async def _shown(self, access: Access, package: str | None) -> list[Running]:
        """What runs, of one package or of all, on devices that the caller may view."""
        tenant = access.principal.tenant
        await access.permitted(Permission.LIST_DEVICES, (tenant_entity(tenant.id),))
        if package is None:
            told = await self.running.every(tenant)
        else:
            told = (*(await self.running.of_package(tenant, package)).values(),)
        everything = DeviceGroup(tenant=tenant.id, id=ROOT_GROUP)
        fleet = await self.devices.members(tenant, everything, limit=MOST_MEMBERS)
        rows = {(one.device, one.package): one for one in told}
        packages: dict[str, set[str]] = {}
        for one in told:
            packages.setdefault(one.device, set()).add(one.package)
        found: list[Running] = []
        # Fail closed: of what cannot be read nobody knows who may see it.
        readable = [one for one in fleet if one.problem is None]
        for device in await access.seen(Permission.VIEW_DEVICE, readable):
            said = set(device.reported.packages) if device.reported else set[str]()
            names = packages.get(device.id, set()) | said
            for name in sorted(names if package is None else names & {package}):
                now = runs(device, name, rows.get((device.id, name)))
                found += [now] if now is not None else []
        return found
