"""Say which version of a package the devices of a group shall have, and see how far that is.

Whoever sets it owns the wish: each device is decided for that person when its turn comes
(`bringing`), so nobody wants for a group what they may not deliver to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.cedar.entities import ROOT_GROUP
from service.domain.artifacts import permission_for
from service.domain.files import FileState
from service.domain.groups import DeviceGroup, find_group
from service.domain.identities import TokenUse
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.domain.preconditions import ANY_STATE
from service.domain.wanted_versions import (
    WantedVersion,
    WishState,
    check_package,
    package_of,
    progress_of,
)
from service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UpstreamError,
)
from service.operations.bringing import LOOK_AFTER, MOST_MEMBERS
from service.operations.known_groups import knowing
from service.operations.plans import reach_of
from service.operations.purpose import Purpose
from service.operations.wish_messages import look_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.files import FileVersion
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.domain.rollouts import Window
    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import Standing
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.files import FileRecords
    from service.ports.groups import GroupRecords
    from service.ports.wanted_versions import RunningVersions, WantedVersions
    from service.ports.work import WorkQueue

_TRIES: Final = 3  # against the worker, which notes in the same row when the next may begin
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class WishRequest:
    """What a group shall have.

    Attributes:
        file_id: of the uploaded version that brings it.
        devices_per_hour: at most so many begin.
        window: in which they begin; ``None``: at any time.
        abort_percent: of the ended devices: once so many failed, nobody else begins.
    """

    group: str
    package: str
    file_id: str
    devices_per_hour: int
    window: Window | None = None
    abort_percent: int = 50


@dataclass(frozen=True, kw_only=True)
class WishView:
    """A wish, and devices of its group by where they stand."""

    wish: WantedVersion
    counts: Mapping[Standing, int]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The wanted versions of the caller's tenant."""

    devices: DeviceFacts
    groups: GroupRecords
    files: FileRecords
    records: WantedVersions
    running: RunningVersions
    queue: WorkQueue
    clock: Clock

    async def set(
        self, access: Access, request: WishRequest, expected: Expected = ANY_STATE
    ) -> WantedVersion:
        """Want a version for a group; the caller owns the wish from now on.

        Devices that a former wish was to bring elsewhere, and that have not begun, do not begin.
        The same set again by the same person is the same wish.

        Raises:
            InvalidRequestError: the package is not of its form, or the file is of another one.
            NotFoundError: the tenant has no such group or file; or something is expected of a wish
                that is not there.
            PermissionDeniedError: the caller may not want it, or not deliver the file to the group.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: the file is not available; the caller is a machine; or others change it.
        """
        check_package(request.package)
        tenant, group = await self._group(access, request.group)
        known = wire.is_command_id(request.file_id)
        file = await self.files.read(tenant, request.file_id) if known else None
        wish = await self._allowed(access, tenant, group, request, file)
        for _ in range(_TRIES):
            former = await self._find(tenant, request.package, request.group)
            if former is None or not former.counts:
                if expected != ANY_STATE:
                    raise NotFoundError("wanted version", request.package)
            else:
                expected.check(former.tag)
                if wish.wants_the_same(former):
                    return former
            # Told before it stands: who is cut off behind it has it looked at all the same.
            await self.queue.send([look_at(tenant, wish)], delay_seconds=LOOK_AFTER.seconds)
            revision = former.revision if former else 0
            stored = await self.records.put(tenant, replace(wish, revision=revision))
            if stored is not None:
                await self._told(tenant, former, stored)
                return stored
        raise ConflictError(f"`{request.package}` of this group is being changed: try again")

    async def end(
        self, access: Access, group: str, package: str, expected: Expected = ANY_STATE
    ) -> WantedVersion:
        """Want nothing of this package for a group any more; what has begun goes on.

        Returns:
            What it was.

        Raises:
            NotFoundError: the tenant has no such group, or it wants nothing of this package.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: others change it.
        """
        tenant, target = await self._group(access, group)
        await access.require(
            Permission.SET_WANTED_VERSION, target.entities(tenant.groups), Purpose(subject=package)
        )
        for _ in range(_TRIES):
            wish = await self._standing(tenant, package, group)
            expected.check(wish.tag)
            await self.queue.send([look_at(tenant, wish)], delay_seconds=LOOK_AFTER.seconds)
            ended = replace(wish, state=WishState.ENDED)
            if await self.records.put(tenant, ended) is not None:
                await self._told(tenant, wish)
                return wish
        raise ConflictError(f"`{package}` of this group is being changed: try again")

    async def read(self, access: Access, group: str, package: str) -> WishView:
        """What a group wants of a package, and how far its devices are.

        Raises:
            NotFoundError: the tenant has no such group, or it wants nothing of this package.
            PermissionDeniedError: not allowed.
        """
        tenant, target = await self._group(access, group)
        await access.require(Permission.VIEW_DOWNLOAD, target.entities(tenant.groups))
        wish = await self._standing(tenant, package, group)
        progress = progress_of(
            wish,
            await self.devices.members(tenant, target, limit=MOST_MEMBERS),
            wishes=await self.records.of_package(tenant, package),
            running=await self.running.of_package(tenant, package),
            batches=await self.records.batches(tenant, wish.wish_id),
            parents=tenant.groups,
            now_ms=milliseconds(self.clock()),
        )
        return WishView(wish=wish, counts=progress.counts)

    async def of_group(self, access: Access, group: str) -> Sequence[WantedVersion]:
        """All that a group wants, by package.

        Raises:
            NotFoundError: the tenant has no such group.
            PermissionDeniedError: not allowed.
        """
        tenant, target = await self._group(access, group)
        await access.require(Permission.VIEW_DOWNLOAD, target.entities(tenant.groups))
        return [
            one for one in await self.records.every(tenant) if one.group == group and one.counts
        ]

    async def _allowed(
        self,
        access: Access,
        tenant: Tenant,
        group: DeviceGroup,
        request: WishRequest,
        file: FileVersion | None,
    ) -> WantedVersion:
        """The wish as it would be, once the policies allow the caller to want and to deliver it."""
        artifact = file.artifact() if file else None
        fleet = await self.devices.members(
            tenant, DeviceGroup(tenant=tenant.id, id=ROOT_GROUP), limit=MOST_MEMBERS
        )
        members = [one for one in fleet if one.is_served_in(group.id, tenant.groups)]
        reach = reach_of(members, fleet)
        now = milliseconds(self.clock())
        wish_id = new_ulid(now)
        purpose = Purpose(artifact=artifact, reach=reach, planned=True, about={"wish": wish_id})
        entities = group.entities(tenant.groups)
        await access.require(Permission.SET_WANTED_VERSION, entities, purpose)
        if file is None or artifact is None:
            raise NotFoundError("file", request.file_id)
        # Each device is decided by itself when its turn comes.
        delivering = replace(purpose, members_allowed=True)
        await access.require(permission_for(artifact.name), entities, delivering)
        principal = access.principal
        # Fail closed: nobody could ask the user pool for a machine when a device's turn comes.
        if principal.token_use is not TokenUse.ID:
            raise ConflictError("a version is wanted by a person, who is asked for at each device")
        package, version = package_of(file)
        if package != request.package:
            raise InvalidRequestError("file", f"is of package `{package}`: see `package` of a file")
        if file.state is not FileState.AVAILABLE:
            raise ConflictError(f"file `{file.file_id}` is `{file.state}`: it is not delivered")
        name = principal.claims.get("cognito:username")
        return WantedVersion(
            wish_id=wish_id,
            tenant=tenant.id,
            group=request.group,
            package=package,
            version=version,
            file_id=file.file_id,
            artifact=file.name,
            created_by=principal.entity_id,
            requester=name if isinstance(name, str) else principal.subject,
            created_at=now,
            reach=reach,
            devices_per_hour=request.devices_per_hour,
            window=request.window,
            abort_percent=request.abort_percent,
            source_ip=access.facts.source_ip,
            via=principal.via,
        )

    async def _group(self, access: Access, group: str) -> tuple[Tenant, DeviceGroup]:
        tenant = await knowing(self.groups, access.principal.tenant, [group])
        found = find_group(tenant, group)
        if found is None:
            raise NotFoundError("group", group)
        return tenant, found

    async def _find(self, tenant: Tenant, package: str, group: str) -> WantedVersion | None:
        found = await self.records.of_package(tenant, package)
        return next((one for one in found if one.group == group), None)

    async def _standing(self, tenant: Tenant, package: str, group: str) -> WantedVersion:
        wish = await self._find(tenant, package, group)
        if wish is None or not wish.counts:
            raise NotFoundError("wanted version", package)
        return wish

    async def _told(self, tenant: Tenant, *wishes: WantedVersion | None) -> None:
        """Have the worker look now; else it looks a little later."""
        try:
            await self.queue.send([look_at(tenant, one) for one in wishes if one is not None])
        except UpstreamError:
            log.warning("wanted_version.not_told", tenant=tenant.id)
