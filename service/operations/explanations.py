"""Why the policies say what they say, and what they would say if something were otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.cedar.decision import Allowed
from service.cedar.device_facts import ONE_OFFSET, DeviceFactError, has_two_offsets, read_fact
from service.cedar.entities import tenant_entity
from service.cedar.request import TokenBearer
from service.domain import tags
from service.domain.groups import check_group
from service.domain.permissions import OF_TENANT, Permission
from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose
from service.operations.who_may import bearer_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from service.domain.devices import Device
    from service.operations.authorization import Access
    from service.operations.people import TenantPeople
    from service.operations.permissions import Asked, Permissions, Question
    from service.ports.authorizer import Considered, Proposed


@dataclass(frozen=True, kw_only=True)
class Persona:
    """Somebody who need not be: the groups of the pool, and the region that a token would tell."""

    groups: tuple[str, ...] = ()
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """What is thought otherwise of the device; ``None`` as a value: without it.

    Attributes:
        facts: as they are stored, by name.
        tags: likewise.
        groups: in place of those that it is in; ``None``: as it is.
    """

    facts: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    tags: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What is thought otherwise; what is ``None`` is as it is."""

    person: str | None = None
    persona: Persona | None = None
    at: datetime | None = None
    device_state: DeviceState | None = None
    policies: Proposed | None = None


@dataclass(frozen=True, kw_only=True)
class Why:
    """What the policies say, why, and who could change it.

    Attributes:
        changers: action by which a term may come out otherwise -> groups that may do it; empty for
            a caller who may not view people.
    """

    considered: Considered
    changers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What the policies say as it is, and as it would be."""

    now: Considered
    then: Considered


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """Answers callers about themselves; about others, those who may view the tenant's people.

    Of a device that the caller may not view nothing is told, whoever is asked about.
    """

    permissions: Permissions
    people: TenantPeople

    async def explain(
        self, access: Access, question: Question, *, person: str | None = None
    ) -> Why:
        """Why the caller, or a person of the tenant, may or may not do it now.

        Raises:
            PermissionDeniedError: the caller may not ask about others.
            InvalidRequestError: the question is not of its form.
            NotFoundError: there is no such device that the caller may view, or no such person.
            ConflictError: no policy can be asked this, in words.
            UnavailableError: there is no good copy of the tenant's policies.
        """
        # First: whoever may not ask learns nothing, not even of a slip.
        bearer = None if person is None else bearer_of(await self.people.read(access, person))
        one = await self._asked(access, question)
        found = await access.consider((one.action, one.entities, one.purpose), bearer=bearer)
        return Why(considered=found, changers=await self._changers(access, one, found))

    async def simulate(self, access: Access, question: Question, what_if: WhatIf) -> Simulated:
        """What the policies would say if something were otherwise; nothing changes.

        Raises:
            PermissionDeniedError: the caller may not ask about others.
            InvalidRequestError: the question, or what is thought otherwise, is not of its form.
            NotFoundError: there is no such device that the caller may view, or no such person.
            ConflictError: no policy can be asked this, in words.
            UnavailableError: there is no good copy of the tenant's policies.
        """
        tenant = access.principal.tenant
        await access.require(
            Permission.VIEW_PEOPLE, (tenant_entity(tenant.id),), Purpose(subject="simulate")
        )
        bearer = await self._bearer(access, what_if)
        one = await self._asked(access, question)
        asked = (one.action, one.entities, one.purpose)
        then = asked
        if what_if.device_state is not None:
            if one.device is None:
                raise InvalidRequestError("device_state", "needs a `device` to be asked about")
            groups = what_if.device_state.groups or ()
            tenant = await knowing(self.permissions.groups, tenant, groups)
            for group in groups:
                check_group(tenant, group, field="device_state.groups")
            device = _as_it_would_be(one.device, what_if.device_state)
            then = (one.action, device.entities(tenant.groups), one.purpose)
        return Simulated(
            now=await access.consider(asked),
            then=await access.consider(
                then, bearer=bearer, now=what_if.at, proposed=what_if.policies
            ),
        )

    async def _changers(
        self, access: Access, one: Asked, considered: Considered
    ) -> dict[str, tuple[str, ...]]:
        """Who may change what the terms met, for who may know: by action, the groups that may."""
        tenant = (tenant_entity(access.principal.tenant.id),)
        (may,) = await access.advise([(Permission.VIEW_PEOPLE, tenant, Purpose())])
        # Fail closed: which group may do what is for who may view people.
        if not isinstance(may, Allowed):
            return {}
        changes = {
            change
            for policy in considered.explained
            for term in policy.terms
            for change in term.changes
        }
        found: dict[str, tuple[str, ...]] = {}
        for action in sorted(changes & set(Permission)):
            permission = Permission(action)
            about = tenant if permission in OF_TENANT else one.entities
            if permission not in OF_TENANT and one.device is None:
                continue
            said = await access.advise_about((permission, about, Purpose()), [])
            found[permission] = tuple(
                group
                for group, decision in sorted(said.groups.items())
                if isinstance(decision, Allowed)
            )
        return found

    async def _bearer(self, access: Access, what_if: WhatIf) -> TokenBearer | None:
        if what_if.person is not None:
            if what_if.persona is not None:
                raise InvalidRequestError("persona", "give either a `person` or a `persona`")
            return bearer_of(await self.people.read(access, what_if.person))
        if what_if.persona is None:
            return None
        region = what_if.persona.region
        return TokenBearer(
            groups=what_if.persona.groups,
            claims={} if region is None else {"custom:region": region},
        )

    async def _asked(self, access: Access, question: Question) -> Asked:
        asked, answers = await self.permissions.resolve(access.principal.tenant, [question])
        if 0 not in asked:
            if question.device is not None:
                raise NotFoundError("device", question.device)
            raise ConflictError(answers[0].problem or "this cannot be asked")
        one = asked[0]
        if one.device is not None:
            await self.permissions.check_viewed(access, one.device)
        return one


def _as_it_would_be(device: Device, state: DeviceState) -> Device:
    """The device with what is thought otherwise.

    Raises:
        InvalidRequestError: names the fact or tag that is not of its form.
    """
    for name, text in state.facts.items():
        try:
            if text is not None:
                read_fact(name, text)
        except DeviceFactError as error:
            raise InvalidRequestError(f"device_state.facts.{name}", str(error)) from error
        except KeyError as error:
            raise InvalidRequestError(f"device_state.facts.{name}", "is no fact") from error
    found = device.with_attributes(state.facts).with_tags(state.tags)
    if has_two_offsets(found.attributes):
        raise InvalidRequestError("device_state.facts", ONE_OFFSET)
    if (wrong := tags.problem(found.tags)) is not None:
        raise InvalidRequestError("device_state.tags", wrong)
    return found if state.groups is None else found.with_groups(state.groups)
