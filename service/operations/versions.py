"""Which versions of which packages the fleet runs, and which devices run one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.at_once import each
from service.cedar.entities import ROOT_GROUP, tenant_entity
from service.domain.artifacts import Artifact
from service.domain.groups import DeviceGroup
from service.domain.materials import WantedComponent
from service.domain.permissions import Permission
from service.domain.wanted_versions import check_package, runs
from service.errors import InvalidRequestError, NotFoundError
from service.operations.bringing import MOST_MEMBERS
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.materials import Component, Materials
    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import Running
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.materials import BillsOfMaterials
    from service.ports.wanted_versions import RunningVersions

MOST_ASKED: Final = 200
"""Versions of which one request looks at the bills of materials."""
_BILLS: Final = 5  # of one version of a package, which may have been uploaded more than once
_SHOWN: Final = 20


@dataclass(frozen=True, kw_only=True)
class VersionCount:
    """How many devices run a version, of those that the caller may view."""

    package: str
    version: str
    devices: int


@dataclass(frozen=True, kw_only=True)
class VersionWith:
    """A version that holds a component, with what fits of its bill of materials."""

    count: VersionCount
    components: tuple[Component, ...]


@dataclass(frozen=True, kw_only=True)
class VersionsWith:
    """Which of the versions that run hold a component.

    Attributes:
        holding: those that do.
        unknown: those of which it is not known: no bill of materials was uploaded here and read
            that the caller may view, or not all of it was kept, or there are too many to look at.
    """

    holding: tuple[VersionWith, ...]
    unknown: tuple[VersionCount, ...]


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
    bills: BillsOfMaterials

    async def holding(self, access: Access, component: str, package: str | None) -> VersionsWith:
        """Which versions hold a component, by the bills of materials that were uploaded here.

        Args:
            access: of the caller.
            component: ``name``, ``name@version`` or a package URL, with or without its version.
            package: of this package alone; ``None``: of all.

        Raises:
            InvalidRequestError: component or package are not of their form.
            PermissionDeniedError: a policy forbids to list.
            UnavailableError: a part does not answer.
        """
        wanted = WantedComponent.of(component)
        counts = await self.counts(access, package)
        bills = await each(
            partial(self._bills, access.principal.tenant, wanted), counts[:MOST_ASKED]
        )
        read = [one for some in bills for one in some if one is not None]
        viewable = await self._viewable(access, read)
        holding: list[VersionWith] = []
        unknown = list(counts[MOST_ASKED:])
        for count, some in zip(counts[:MOST_ASKED], bills, strict=True):
            known = [one for one in some if one is not None and one.file_id in viewable]
            fitting = {it: None for one in known for it in one.components}
            if fitting:
                shown = tuple(fitting)[:_SHOWN]
                holding.append(VersionWith(count=count, components=shown))
            # Fail closed: what is not known whole may hold it.
            elif not known or len(known) < len(some) or not all(one.is_whole for one in known):
                unknown.append(count)
        return VersionsWith(holding=tuple(holding), unknown=tuple(unknown))

    async def _bills(
        self, tenant: Tenant, wanted: WantedComponent, count: VersionCount
    ) -> Sequence[Materials | None]:
        """Its bills with what fits.

        ``None`` for each of which nothing is known, and for those beyond ``_BILLS``. Fail closed:
        a clean bill beside one that nobody has read proves nothing.
        """
        files = await self.bills.of_package(
            tenant, package=count.package, version=count.version, most=_BILLS + 1
        )
        read = partial(self.bills.read, tenant, wanted=wanted, most=_SHOWN)
        found = await each(read, files[:_BILLS])
        return [*found, *([None] * len(files[_BILLS:]))]

    async def _viewable(self, access: Access, bills: Sequence[Materials]) -> frozenset[str]:
        """Files of the bills that the caller may view."""
        tenant = access.principal.tenant
        named = {one.file_id: one for one in bills}
        purposes = [
            Purpose(
                artifact=Artifact(
                    tenant=tenant.id, name=one.name, size=one.size, sha256=one.sha256, etag=""
                )
            )
            for one in named.values()
        ]
        entities = (tenant_entity(tenant.id),)
        shown = await access.shown(
            Permission.VIEW_FILE, [entities] * len(purposes), purposes=purposes
        )
        return frozenset(name for name, may in zip(named, shown, strict=True) if may)

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
