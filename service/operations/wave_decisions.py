"""Ask again for whoever began a planned download, at the moment when a job of it is made.

No token lives that long: the user pool is asked who that is now, and the policy store whether the
person, in the groups of now, may still do this to each device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from service.cedar.decision import Allowed, Decision, Denied
from service.cedar.request import AuthorizationRequest
from service.domain.artifacts import permission_for
from service.domain.audit import AuditRecord
from service.domain.downloads import DeliveryState, Outcome, TargetKind
from service.domain.groups import DeviceGroup
from service.domain.instants import milliseconds, new_ulid
from service.errors import NotFoundError, UnavailableError
from service.operations.download_lists import find_target, knowing_targets
from service.operations.downloads import delivered
from service.operations.purpose import Purpose
from service.operations.requesters import RequesterGoneError, requester_now
from service.operations.who_may import bearer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.devices import Device
    from service.domain.downloads import DeliveryJob, DownloadRecord
    from service.domain.instants import Clock
    from service.domain.people import Person
    from service.domain.rollouts import PlannedRollout
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.ports.audit import AuditLog
    from service.ports.authorizer import Authorizer
    from service.ports.devices import DeviceFacts
    from service.ports.groups import GroupRecords
    from service.ports.people import People

_MANY: Final = 10  # denied devices, none of a job allowed: then the policies say no to all
_RETIRED: Final = "it was retired"
_GONE: Final = "the device is no more"
RETIRED: Final = "the device was retired"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class RolloutStoppedError(Exception):
    """Nothing of the download may begin any more; the words say why."""


@dataclass(frozen=True, kw_only=True)
class WaveDecisions:
    """Decides who of a job still gets it."""

    devices: DeviceFacts
    groups: GroupRecords
    people: People
    authorizer: Authorizer
    audit: AuditLog
    pace: Pace
    clock: Clock

    async def refused(
        self, tenant: Tenant, record: DownloadRecord, rollout: PlannedRollout, job: DeliveryJob
    ) -> Mapping[str, Outcome]:
        """Which devices of a job get it no more, and why; the others are allowed now.

        Raises:
            RolloutStoppedError: who asked for it may not sign in any more, or is not allowed the
                target, or none of these devices, unless they are few of a large wave.
            UnavailableError: pool or store do not answer: then nothing is made (fail closed).
        """
        now = milliseconds(self.clock())
        person = await self._requester(tenant, record, rollout)
        tenant = await knowing_targets(self.groups, tenant, [record])
        found: dict[str, Device] = {}
        ended: dict[str, Outcome] = {}
        for name in job.members:
            device = await self.devices.find(tenant, name)
            if device is None or device.retired_at is not None:
                words = _GONE if device is None else _RETIRED
                ended[name] = Outcome(state=DeliveryState.REMOVED, at=now, reason=words)
            elif device.problem is not None:
                # Fail closed: of what cannot be read nobody knows whether it is allowed.
                words = "its facts cannot be read"
                ended[name] = Outcome(state=DeliveryState.CANCELED, at=now, reason=words)
            else:
                found[name] = device
        decisions = await self._decided(tenant, record, rollout, person, found)
        denied = {name: one for name, one in decisions.items() if isinstance(one, Denied)}
        for name, one in denied.items():
            words = f"not allowed when its wave began: {one.explanation}"
            ended[name] = Outcome(state=DeliveryState.CANCELED, at=now, reason=words)
            await self._audit(tenant, record, f'Fleet::Device::"{name}"', one)
        wave = record.waves[record.wave_of(job.number)]
        # A batch of a wish may be of one device: who is denied is tried again for the wish.
        small = record.wish is not None
        if denied and not small and len(denied) == len(found) and len(denied) >= min(_MANY, wave):
            first = next(iter(denied.values()))
            raise RolloutStoppedError(f"no device of a job is allowed: {first.explanation}")
        return ended

    async def _requester(
        self, tenant: Tenant, record: DownloadRecord, rollout: PlannedRollout
    ) -> Person:
        try:
            return await requester_now(
                self.people,
                self.pace,
                tenant,
                name=rollout.requester,
                entity_id=record.created_by,
            )
        except RequesterGoneError as error:
            raise RolloutStoppedError(str(error)) from error

    async def _decided(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        rollout: PlannedRollout,
        person: Person,
        found: Mapping[str, Device],
    ) -> dict[str, Decision]:
        """What the policies say of each device now.

        Raises:
            RolloutStoppedError: of the group itself they say no.
        """
        # Of a selection each device is decided by itself, and nothing else.
        target = None
        if record.target_kind is not TargetKind.SELECTION:
            try:
                target = await find_target(self.devices, tenant, record.target_kind, record.target)
            except NotFoundError as error:
                raise RolloutStoppedError(f"its {record.target_kind} is no more") from error
        purpose = Purpose(
            artifact=delivered(record),
            emergency_reason=record.emergency_reason,
            reach=rollout.reach,
            planned=True,
            approved=record.approved_by is not None,
            approver_groups=record.approver_groups,
        )
        # Each member is asked for here, and only who is allowed gets it.
        of_group = replace(purpose, members_allowed=True)
        asked = [(device.entities(tenant.groups), purpose) for device in found.values()]
        if isinstance(target, DeviceGroup):
            asked.insert(0, (target.entities(tenant.groups), of_group))
        now, bearer = self.clock(), bearer_of(person)
        requests = [
            AuthorizationRequest.of(
                principal=bearer.uid(tenant.pool_id),
                action=permission_for(record.artifact),
                entities=entities,
                context=why.context(now, rollout.source_ip, via=rollout.via),
            )
            for entities, why in asked
        ]
        decisions = await self.authorizer.decide_all_for(tenant, bearer, requests)
        # Fail closed: each needs an answer of its own.
        if len(decisions) != len(requests):
            raise UnavailableError("the policy store")
        if isinstance(target, DeviceGroup) and isinstance(decisions[0], Denied):
            await self._audit(tenant, record, str(requests[0].resource), decisions[0])
            words = decisions[0].explanation
            raise RolloutStoppedError(f"its group is not allowed any more: {words}")
        return dict(zip(found, decisions[len(decisions) - len(found) :], strict=True))

    async def _audit(
        self, tenant: Tenant, record: DownloadRecord, resource: str, decision: Decision
    ) -> None:
        at = milliseconds(self.clock())
        await self.audit.write(
            tenant,
            AuditRecord(
                audit_id=new_ulid(at),
                at=at,
                tenant=tenant.id,
                principal=record.created_by,
                action=permission_for(record.artifact),
                resource=resource,
                decision=decision,
                request_id=f"download {record.download_id}",
                source_ip=None,
                emergency_reason=record.emergency_reason,
                subject=record.artifact,
                person=record.created_by.rpartition("|")[2],
                about={"download": record.download_id},
            ),
        )
        log.info(
            "download.device_denied",
            download=record.name,
            resource=resource,
            allowed=isinstance(decision, Allowed),
            policies=decision.policies,
        )


def end_of_gone(device: Device | None) -> Outcome | None:
    """Why nothing is delivered to it any more, at no time; ``None``: it may be."""
    if device is None:
        return Outcome(state=DeliveryState.REMOVED, at=0, reason=_GONE)
    if device.retired_at is not None:
        return Outcome(state=DeliveryState.CANCELED, at=0, reason=RETIRED)
    return None
