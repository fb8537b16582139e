"""Finds whom and what to ask about when two sets of a tenant's policies are compared: everything that either set names.

A decision can only differ where a policy looks. So the questions are made of the groups, users, scopes, lines, device
attributes and moments that stand in the policies, beside the devices of the reference fleet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from infra.policies import fleet
from infra.policies.binding import GROUP, unbind_entity
from infra.policies.bundle import Entity
from infra.policies.evaluator import statement_est
from infra.policies.question import Circumstances, Target, Who
from infra.policies.statement import named_entities

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.policies.evaluator import BoundPolicies

_SCOPE: Final = re.compile(r'scope\.contains\("([^"]+)"\)')
_MOMENT: Final = re.compile(r'datetime\("([^"]+)"\)')
_ATTRIBUTE: Final = re.compile(r'resource\.(kind|region|criticality) == "([^"]+)"')
_REGION: Final = fleet.PRESS.attributes["region"]
_PATCHED: Final = {fleet.PRESS.id: timedelta(days=90), fleet.PUMP.id: timedelta(days=10)}  # long ago, recently


@dataclass(frozen=True, kw_only=True)
class Judges:
    """Whom and what to ask about, and when; the keys are words for people."""

    who: dict[str, Who]
    when: dict[str, Circumstances]
    targets: dict[str, Target]


def judges(*sets: BoundPolicies, tenant: str, pool_id: str, now: datetime) -> Judges:
    """Everything that the sets name, on the day of ``now`` (UTC) and shortly before each moment that a policy names."""
    named: set[Entity] = set()
    texts: list[str] = []
    together: set[frozenset[Entity]] = set()  # a linked principal with the groups that its template asks for

    def unbound(entities: Iterable[Entity]) -> set[Entity]:
        return {unbind_entity(entity, tenant=tenant, pool_id=pool_id) for entity in entities}

    for policies in sets:
        texts += [*policies.static.values(), *policies.templates.values()]
        for link in policies.links:
            groups = {entity for entity in _entities(policies.templates[link.template]) if entity.type == GROUP}
            together.add(frozenset(unbound({link.principal, *groups})))
            named |= unbound({link.principal, link.resource})
    for text in texts:
        named |= unbound(_entities(text))
    together |= {frozenset({entity}) for entity in named if entity.type == GROUP}
    return Judges(
        who=dict(_who(together, "\n".join(texts))),
        when=dict(_when("\n".join(texts), now)),
        targets=dict(_targets(named, "\n".join(texts), now)),
    )


def _entities(text: str) -> set[Entity]:
    return {Entity(type=kind, id=name) for kind, name in named_entities(statement_est(text))}


def _who(people: set[frozenset[Entity]], text: str) -> Iterator[tuple[str, Who]]:
    yield "no group", Who(region=_REGION)
    for entities in sorted(people, key=lambda found: sorted(map(str, found))):
        groups = sorted(entity.id for entity in entities if entity.type == GROUP)
        users = sorted(entity.id for entity in entities if entity.type != GROUP)
        who = Who(user=users[0] if users else "someone", groups=tuple(groups), region=_REGION)
        title = " + ".join([*(f"user {user}" for user in users), *groups])
        yield title, who
        if "custom:region" in text:
            yield f"{title}, no region", replace(who, region=None)
    for scope in sorted(set(_SCOPE.findall(text))):
        yield f"machine with {scope}", Who(user="client", scopes=(scope,))


def _when(text: str, now: datetime) -> Iterator[tuple[str, Circumstances]]:
    night = now.replace(hour=fleet.NIGHT.hour, minute=0, second=0, microsecond=0)
    yield "at night", Circumstances(now=night)
    yield "at noon", Circumstances(now=night.replace(hour=fleet.NOON.hour))
    yield "emergency", Circumstances(now=night, emergency=True, reason="alarm")
    yield "emergency, no reason", Circumstances(now=night, emergency=True)
    yield "members allowed", Circumstances(now=night, members_allowed=True)
    for moment in sorted(set(_MOMENT.findall(text))):
        before = datetime.fromisoformat(moment) - timedelta(minutes=30)
        yield f"emergency before {moment}", Circumstances(now=before, emergency=True, reason="alarm")


def _targets(named: set[Entity], text: str, now: datetime) -> Iterator[tuple[str, Target]]:
    yield "the tenant", fleet.THE_TENANT
    for device in (fleet.PRESS, fleet.PUMP, fleet.INFUSION):
        yield f"a {device.attributes['kind']}", _patched(replace(device, groups=()), now)
    press = _patched(replace(fleet.PRESS, groups=()), now)
    for attribute, value in sorted(set(_ATTRIBUTE.findall(text))):
        if press.attributes[attribute] != value:
            yield f"a press of {attribute} {value}", replace(press, attributes={**press.attributes, attribute: value})
    for entity in sorted(named, key=str):
        if entity.type == "Fleet::DeviceGroup":
            yield f"group {entity.id}", Target(kind="group", id=entity.id)
            yield f"a press in {entity.id}", replace(press, groups=(entity.id,))
        elif entity.type == "Fleet::Device":
            yield f"device {entity.id}", replace(press, id=entity.id)
    yield "another tenant's press", replace(press, tenant="another-tenant")


def _patched(device: Target, now: datetime) -> Target:
    if device.id not in _PATCHED:
        return device
    day = datetime.combine(now - _PATCHED[device.id], time()).strftime("%Y-%m-%d")
    return replace(device, attributes={**device.attributes, "security_patch": day})
