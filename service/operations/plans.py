"""Plan a rollout: what would become of each device, as the policies say now; nothing is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.cedar.decision import Allowed
from service.cedar.entities import ROOT_GROUP
from service.domain.artifacts import Artifact, is_artifact_name, permission_for
from service.domain.devices import Device
from service.domain.downloads import JOB_MEMBERS, MAX_MEMBERS, TargetKind
from service.domain.groups import DeviceGroup
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.domain.plans import Plan, PlannedDevice, PlannedPage, Tally, Verdict, digest_of
from service.domain.rollouts import Reach, Shape, check_shape
from service.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from service.operations.download_lists import find_target
from service.operations.downloads import check_members, deliverable
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.decision import Decision
    from service.domain.instants import Clock
    from service.domain.selections import Selection
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.downloads import Downloads
    from service.operations.selections import Selections
    from service.ports.devices import DeviceFacts
    from service.ports.groups import GroupRecords
    from service.ports.plans import Plans

MOST_JOBS: Final = 100
_MOST_OF_FLEET: Final = 100_000  # devices that are counted: of more, each share is taken too large
_UNREADABLE: Final = "its facts cannot be read"
_NOT_ENROLLED: Final = "it has not come in yet"


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """Which file goes where, and how.

    Attributes:
        target: of a selection the group that it is selected in.
        selection: of a plan for what a filter finds, or for devices by name: which.
        artifact: the file's name; empty where ``file_id`` names the version.
        file_id: of one uploaded version; ``None``: the newest that is available.
    """

    target_kind: TargetKind
    target: str
    artifact: str
    file_id: str | None
    shape: Shape
    emergency_reason: str | None = None
    selection: Selection | None = None

    @property
    def names_devices(self) -> bool:
        """Whether its caller says of each device which, instead of what they have in common."""
        named = self.selection is not None and self.selection.wanted is None
        return named or self.target_kind is TargetKind.DEVICE


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a plan rests on, as it is now.

    Attributes:
        target: as policies decide on it, with the tenant that has its groups; of a selection a
            device of it, one that is allowed if there is one.
        purpose: with which the target is asked for, but for an approval.
    """

    tenant: Tenant
    target: Device | DeviceGroup
    artifact: Artifact
    action: Permission
    purpose: Purpose
    reach: Reach
    devices: tuple[PlannedDevice, ...]
    needs_approval: bool
    digest: str


@dataclass(frozen=True, kw_only=True)
class Planning:
    """Plans of the caller's tenant; each belongs to who made it."""

    devices: DeviceFacts
    groups: GroupRecords
    downloads: Downloads
    selections: Selections
    plans: Plans
    clock: Clock

    async def make(self, access: Access, request: PlanRequest) -> Plan:
        """Ask the policies of each device, and keep what they say for a day.

        Of a device that the caller may not view, a refusal is counted and not named.

        Raises:
            NotFoundError: the tenant has no such device, group or file, or the caller may neither
                view nor deliver to a device that they name.
            InvalidRequestError: a part of the request is not of its form, or no device can fit the
                filter.
            PermissionDeniedError: a policy forbids the caller to list devices by a filter.
            ConflictError: nobody vouches for the file; a named device was retired; there is no
                device, or there are too many; or the waves would make more than a hundred jobs.
        """
        check_shape(request.shape)
        seen = await self.look(access, request)
        tally = Tally()
        tally.add(seen.devices)
        now = milliseconds(self.clock())
        plan = Plan(
            plan_id=new_ulid(now),
            tenant=access.principal.tenant.id,
            made_by=access.principal.entity_id,
            made_at=now,
            target_kind=request.target_kind,
            target=request.target,
            artifact=seen.artifact,
            asked_file=request.file_id,
            shape=request.shape,
            reach=seen.reach,
            needs_approval=seen.needs_approval,
            counts=dict(tally.counts),
            hidden=sum(one.hidden for one in seen.devices),
            denied_by=dict(tally.denied_by),
            skipped_for=dict(tally.skipped_for),
            digest=seen.digest,
            emergency_reason=request.emergency_reason,
            selection=request.selection,
        )
        _check_jobs(plan)
        await self.plans.store(seen.tenant, plan, seen.devices)
        return plan

    async def find(self, access: Access, plan_id: str) -> Plan:
        """A plan that the caller made, and that still counts.

        Raises:
            NotFoundError: there is none.
        """
        tenant = access.principal.tenant
        known = wire.is_command_id(plan_id)
        plan = await self.plans.read(tenant, plan_id) if known else None
        # Fail closed: what the policies said to somebody is nobody else's.
        if (
            plan is None
            or plan.made_by != access.principal.entity_id
            or milliseconds(self.clock()) >= plan.expires_at
        ):
            raise NotFoundError("plan", plan_id)
        return plan

    async def page(
        self, access: Access, plan_id: str, *, limit: int, cursor: str | None
    ) -> tuple[Plan, PlannedPage]:
        """A plan with some of its devices, without those that the caller was not to see.

        Raises:
            NotFoundError: the caller made none of this id, or its time is over.
            InvalidRequestError: the cursor is not one of ours.
        """
        plan = await self.find(access, plan_id)
        tenant = access.principal.tenant
        page = await self.plans.page(tenant, plan, limit=limit, cursor=cursor)
        shown = tuple(one for one in page.devices if not one.hidden)
        return plan, replace(page, devices=shown)

    async def look(self, access: Access, request: PlanRequest) -> Seen:
        """What a plan of this would rest on now; raises as ``make``."""
        tenant = access.principal.tenant
        if request.file_id is None and not is_artifact_name(request.artifact):
            raise InvalidRequestError("artifact", "must be a relative name like `recipes/a.json`")
        # Groups that were made at run time are known once they are asked for.
        if request.target_kind is not TargetKind.DEVICE:
            tenant = await knowing(self.groups, tenant, [request.target])
        target = await find_target(self.devices, tenant, request.target_kind, request.target)
        if isinstance(target, Device) and target.retired_at is not None:
            raise ConflictError(f"device `{target.id}` was retired, for good")
        artifact = await self.downloads.file(tenant, request.artifact, request.file_id)
        if artifact is None:
            raise NotFoundError("file", request.file_id or request.artifact)
        deliverable(artifact)
        everything = DeviceGroup(tenant=tenant.id, id=ROOT_GROUP)
        fleet = await self.devices.members(tenant, everything, limit=_MOST_OF_FLEET)
        members = await self._members(access, tenant, request, target, fleet)
        candidates = [one for one in members if one.problem is None and one.enrolled]
        reach = reach_of(candidates, fleet)
        action = permission_for(artifact.name)
        purpose = Purpose(
            artifact=artifact,
            emergency_reason=request.emergency_reason,
            reach=reach,
            planned=True,
        )
        decided, needs_approval = await self._decided(access, action, candidates, purpose)
        viewed = await self._viewed(access, request, members)
        if request.names_devices:
            _check_named(members, decided, viewed)
        if request.selection is not None:
            # Nobody is asked for the whole: each device is decided by itself, and nothing else is.
            target = _chosen(members, candidates, decided)
            asks = False
        else:
            # Only those are delivered to that are allowed, each by itself.
            purpose = replace(purpose, members_allowed=isinstance(target, DeviceGroup))
            of_target, asks = await self._of_target(access, action, target, purpose, tenant)
            if not isinstance(of_target, Allowed):
                decided = dict.fromkeys(decided, of_target)
        devices = tuple(_planned(one, decided, viewed) for one in members)
        needs_approval = needs_approval or asks
        return Seen(
            tenant=tenant,
            target=target,
            artifact=artifact,
            action=action,
            purpose=purpose,
            reach=reach,
            devices=devices,
            needs_approval=needs_approval,
            digest=digest_of(artifact, request.shape, devices, needs_approval=needs_approval),
        )

    async def _members(
        self,
        access: Access,
        tenant: Tenant,
        request: PlanRequest,
        target: Device | DeviceGroup,
        fleet: Sequence[Device],
    ) -> Sequence[Device]:
        """The devices that it is for, in the order of their ids."""
        if isinstance(target, Device):
            return (target,)
        if request.selection is None:
            members = tuple(one for one in fleet if one.is_served_in(target.id, tenant.groups))
            check_members(target, members[: MAX_MEMBERS + 1])
            return members
        found = await self.selections.find(access, tenant, request.selection, most=MAX_MEMBERS)
        if not found:
            raise ConflictError("it is for no device: nothing fits the filter")
        if len(found) > MAX_MEMBERS:
            raise ConflictError(
                f"the filter finds more than {MAX_MEMBERS} devices, which is as many as one"
                " download can serve: make several of it"
            )
        return sorted(found, key=lambda one: one.id)

    async def _viewed(
        self, access: Access, request: PlanRequest, members: Sequence[Device]
    ) -> set[str]:
        """Those that the caller may be told of by name."""
        if request.selection is not None and request.selection.wanted is not None:
            return {one.id for one in members}  # the caller's own list has just shown them
        readable = [one for one in members if one.problem is None]
        views = await self._asked(access, Permission.VIEW_DEVICE, readable, Purpose())
        return {name for name, one in views.items() if isinstance(one, Allowed)}

    async def _decided(
        self, access: Access, action: Permission, devices: Sequence[Device], purpose: Purpose
    ) -> tuple[dict[str, Decision], bool]:
        """The decision on each device, and whether one is allowed only once it is approved."""
        plain = await self._asked(access, action, devices, purpose)
        denied = [one for one in devices if not isinstance(plain[one.id], Allowed)]
        once = await access.once_approved(action, purpose)
        approved = await self._asked(access, action, denied, once)
        by_approval = {
            name: decision for name, decision in approved.items() if isinstance(decision, Allowed)
        }
        return {**plain, **by_approval}, bool(by_approval)

    async def _asked(
        self, access: Access, action: Permission, devices: Sequence[Device], purpose: Purpose
    ) -> dict[str, Decision]:
        decisions = await access.advise_on_devices(action, devices, purpose)
        # Fail closed: each device needs an answer of its own.
        if len(decisions) != len(devices):
            raise UnavailableError("the policy store")
        return {one.id: decision for one, decision in zip(devices, decisions, strict=True)}

    async def _of_target(
        self,
        access: Access,
        action: Permission,
        target: Device | DeviceGroup,
        purpose: Purpose,
        tenant: Tenant,
    ) -> tuple[Decision, bool]:
        """The decision on the target itself, and whether it is allowed only once approved."""
        entities = target.entities(tenant.groups)
        once = await access.once_approved(action, purpose)
        plain, approved = await access.advise(
            [(action, entities, purpose), (action, entities, once)]
        )
        if isinstance(plain, Allowed) or not isinstance(approved, Allowed):
            return plain, False
        return approved, True


def _chosen(
    members: Sequence[Device], candidates: Sequence[Device], decided: Mapping[str, Decision]
) -> Device:
    """The device that stands for a selection when it is started; allowed, if one of them is.

    Raises:
        ConflictError: on none of them a policy can decide.
    """
    allowed = (one for one in candidates if isinstance(decided[one.id], Allowed))
    found = next(allowed, None) or next(iter(candidates), None)
    if found is None:
        raise ConflictError(f"no policy can decide on any of its {len(members)} devices")
    return found


def _check_named(
    members: Sequence[Device], decided: Mapping[str, Decision], viewed: set[str]
) -> None:
    """Refuse a name that the caller may neither view nor deliver to, as one that there is not.

    Who hides among many is counted. Of one that is named each count would be a fact: which policy
    denies it, whether it is enrolled, or critical.

    Raises:
        NotFoundError: there is such a name.
    """
    # Of one that cannot be read nobody is told more than that, whoever asks.
    for device in (one for one in members if one.problem is None):
        if device.id not in viewed and not isinstance(decided.get(device.id), Allowed):
            raise NotFoundError("device", device.id)


def _planned(device: Device, decided: Mapping[str, Decision], viewed: set[str]) -> PlannedDevice:
    decision = decided.get(device.id)
    if isinstance(decision, Allowed):
        return PlannedDevice(
            id=device.id,
            origin=device.origin,
            verdict=Verdict.ALLOWED,
            policies=decision.policies,
        )
    hidden = device.id not in viewed
    if decision is None:
        return PlannedDevice(
            id=device.id,
            origin=device.origin,
            verdict=Verdict.SKIPPED,
            reason=_UNREADABLE if device.problem is not None else _NOT_ENROLLED,
            hidden=hidden,
        )
    return PlannedDevice(
        id=device.id,
        origin=device.origin,
        verdict=Verdict.DENIED,
        policies=decision.policies,
        reason=decision.explanation,
        hidden=hidden,
    )


def reach_of(targets: Sequence[Device], fleet: Sequence[Device]) -> Reach:
    """The blast radius of something that is for these devices of a fleet."""
    return Reach.counted(
        targets=len(targets),
        fleet=len(fleet),
        critical=sum(map(_is_critical, targets)),
        critical_fleet=sum(map(_is_critical, fleet)),
    )


def _is_critical(device: Device) -> bool:
    return device.attributes.get("criticality") == "high"


def _check_jobs(plan: Plan) -> None:
    jobs = sum(-(-size // JOB_MEMBERS) for size in plan.shape.sizes(plan.allowed))
    if jobs > MOST_JOBS:
        raise ConflictError(
            f"these waves make {jobs} jobs, and a download has at most {MOST_JOBS}: let waves be"
            f" multiples of {JOB_MEMBERS} devices, or fewer"
        )
