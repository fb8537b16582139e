"""Finds whom and what to ask about when two sets of a tenant's policies are compared: everything that either set names.

A decision can only differ where a policy looks. So the questions are made of the groups, users, scopes, lines,
attributes and moments that stand in the policies, beside the devices of the reference fleet; what the changed policies
look at is asked about more finely (see `probes`), and whoever they name also together with everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.policies import fleet, probes
from infra.policies.literals import Literals, literals
from infra.policies.question import Circumstances, Target, Who
from service.cedar.binding import unbind_uid
from service.cedar.entities import GROUP, USER
from service.cedar.statement import named_entities, statement_est
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from infra.policies.evaluator import BoundPolicies

_REGION = fleet.PRESS.attributes["region"]

People = frozenset[EntityUid]  # the groups of one person, and that person if some policy names them


@dataclass(frozen=True, kw_only=True)
class Judges:
    """Whom and what to ask about, and when; the keys are words for people."""

    who: dict[str, Who]
    when: dict[str, Circumstances]
    targets: dict[str, Target]


def judges(
    *sets: BoundPolicies, changing: BoundPolicies, tenant: str, pool_id: str, now: datetime
) -> Judges:
    """Everything that the sets name, on the day of ``now`` (UTC) and around each moment that a policy names.

    Args:
        sets: the policies before and after.
        changing: of these, those that come or go.
        tenant: tenant id.
        pool_id: the tenant's user pool, to which all are bound.
        now: the day to ask about, with a time zone.
    """

    def unbound(entities: Iterable[EntityUid]) -> set[EntityUid]:
        return {unbind_uid(entity, tenant=tenant, pool_id=pool_id) for entity in entities}

    everybody: set[People] = set()
    changed: set[People] = set()
    named: set[EntityUid] = set()
    for policies in (*sets, changing):
        for people, resources in _named(policies):
            named |= unbound(resources)
            ours = unbound(people)
            together = {frozenset({entity}) for entity in ours} | (
                {frozenset(ours)} if ours else set()
            )
            everybody |= together
            if policies is changing:
                changed |= together
    looked_at = literals(text for policies in sets for text in policies.statements())
    looked_at_anew = literals(changing.statements())
    return Judges(
        who=dict(_who(everybody, changed, looked_at)),
        when=dict(probes.occasions(looked_at, looked_at_anew, now)),
        targets=dict(probes.specimens(named, looked_at, looked_at_anew, now)),
    )


def _named(policies: BoundPolicies) -> Iterator[tuple[set[EntityUid], set[EntityUid]]]:
    """Of each policy and link the people that it names together, and everything that it names."""
    for text in policies.statements():
        entities = _entities(text)
        yield {entity for entity in entities if entity.type in (GROUP, USER)}, entities
    for link in policies.links:
        groups = {
            entity
            for entity in _entities(policies.templates[link.template])
            if entity.type == GROUP
        }
        yield {link.principal, *groups}, {link.principal, link.resource}


def _entities(text: str) -> set[EntityUid]:
    return set(named_entities(statement_est(text)))


def _who(
    everybody: set[People], changed: set[People], looked_at: Literals
) -> Iterator[tuple[str, Who]]:
    yield "no group", Who(region=_REGION)
    plain = {people for people in everybody if _one_person(people)}
    for people in sorted(plain, key=_sorted_words):
        title, who = _person(people)
        yield title, who
        if looked_at.reads("principal.custom:region"):
            yield f"{title}, no region", replace(who, region=None)
        for region in sorted(looked_at.texts.get("principal.custom:region", ())):
            yield f"{title}, of region {region}", replace(who, region=region)
        for email in sorted(looked_at.texts.get("principal.email", ())):
            yield f"{title}, {email}", replace(who, email=email)
    # where no changed policy looks at either of two groups, both together are decided as one of them alone
    pairs = {one | other for one in plain for other in changed} - plain
    for people in sorted(filter(_one_person, pairs), key=_sorted_words):
        yield _person(people)
    scopes = sorted(looked_at.texts.get("context.token.scope", ()))
    for scope in scopes:
        yield f"machine with {scope}", Who(user="client", scopes=(scope,))
        yield (
            f"person's access token with {scope}",
            Who(user="someone", client="app", scopes=(scope,)),
        )
    for client in sorted(looked_at.texts.get("context.token.client_id", set()) - set(scopes)):
        yield f"machine {client} with every scope", Who(user=client, scopes=tuple(scopes))


def _one_person(people: People) -> bool:
    return sum(entity.type == USER for entity in people) <= 1


def _person(people: People) -> tuple[str, Who]:
    groups = sorted(entity.id for entity in people if entity.type == GROUP)
    users = [entity.id for entity in people if entity.type == USER]
    title = " + ".join([*(f"user {user}" for user in users), *groups])
    return title, Who(user=users[0] if users else "someone", groups=tuple(groups), region=_REGION)


def _sorted_words(people: People) -> list[str]:
    return sorted(map(str, people))
