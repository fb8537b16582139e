"""Whether the word of this second person is enough, where policies ask who approved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from service.at_once import each
from service.cedar.decision import Allowed
from service.cedar.request import AuthorizationRequest
from service.domain.artifacts import permission_for
from service.domain.downloads import TargetKind
from service.domain.groups import DeviceGroup
from service.errors import ConflictError
from service.operations.devices import find_device_or_none
from service.operations.downloads import delivered
from service.operations.purpose import Purpose
from service.operations.who_may import bearer_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.cedar.decision import Decision
    from service.cedar.entities import Entity
    from service.domain.devices import Device
    from service.domain.downloads import DownloadRecord
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.people import TenantPeople
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries

_MOST_ASKED: Final = 100  # devices of many; each is asked for again when its wave begins


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """Asks the copy of the policies what an approval by the caller would bring about.

    It grants nothing: the store is asked of each device when its wave begins, with the groups that
    the second person had.
    """

    people: TenantPeople
    devices: DeviceFacts
    deliveries: Deliveries
    clock: Clock

    async def check_enough(
        self, access: Access, tenant: Tenant, record: DownloadRecord, target: Device | DeviceGroup
    ) -> None:
        """Refuse a word that leaves denied what somebody else's would not.

        A rollout has one approval, so one that is not enough would have nothing begin.

        Args:
            access: of who approves.
            tenant: with the groups that the target lies in.
            record: of a planned download.
            target: device or group that it is for; of a selection the group that it lies in, of
                which nothing is asked: those are decided on that were selected.

        Raises:
            ConflictError: somebody in other groups has to approve; names the policies.
            UnavailableError: pool or policies do not answer.
        """
        action, rollout = permission_for(record.artifact), record.rollout
        asked = await access.adviser.approving_groups(tenant, [action])
        if not asked or rollout is None:
            return
        # Who is gone by now is found by the worker, who stops it.
        if (person := await self.people.known(tenant, rollout.requester)) is None:
            return
        bearer = bearer_of(person)
        planned = Purpose(
            artifact=delivered(record),
            emergency_reason=record.emergency_reason,
            reach=rollout.reach,
            planned=True,
            approved=True,
        )
        # One moment for all: what differs between two answers is who approved.
        now = self.clock()

        async def decision(
            entities: tuple[Entity, ...], purpose: Purpose, groups: tuple[str, ...]
        ) -> Decision:
            why = replace(purpose, approver_groups=groups)
            request = AuthorizationRequest.of(
                principal=bearer.uid(tenant.pool_id),
                action=action,
                entities=entities,
                context=why.context(now, rollout.source_ip, via=rollout.via),
            )
            return (await access.adviser.advise_about(tenant, request, [bearer])).people[0]

        of_group = replace(planned, members_allowed=True)
        resources = [
            (device.entities(tenant.groups), planned)
            for device in await self._reached(tenant, record, target)
            if device.problem is None and device.enrolled
        ]
        if record.target_kind is TargetKind.GROUP:
            resources.insert(0, (target.entities(tenant.groups), of_group))
        for entities, purpose in resources:
            of_caller = await decision(entities, purpose, access.principal.groups)
            if isinstance(of_caller, Allowed):
                continue
            if isinstance(await decision(entities, purpose, asked), Allowed):
                named = ", ".join(f"`{policy}`" for policy in of_caller.policies)
                raise ConflictError(
                    f"your approval is not enough: {named} asks for somebody in other groups"
                )

    async def _reached(
        self, tenant: Tenant, record: DownloadRecord, target: Device | DeviceGroup
    ) -> Iterable[Device]:
        """Devices that it is for, as many as are asked for."""
        if not isinstance(target, DeviceGroup):
            return (target,)
        if record.target_kind is not TargetKind.SELECTION:
            return await self.devices.members(tenant, target, limit=_MOST_ASKED)
        found: list[Device] = []
        for number in range(record.jobs):
            job = await self.deliveries.job(tenant, record, number)
            names = job[0].members[: _MOST_ASKED - len(found)] if job is not None else ()
            looked_up = await each(partial(find_device_or_none, self.devices, tenant), names)
            found += [device for device in looked_up if device is not None]
            if len(found) >= _MOST_ASKED:
                break
        return found
