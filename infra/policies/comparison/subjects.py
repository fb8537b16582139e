"""Finds whom and what to ask about: everything that either of two compared policy sets names.

A decision can only differ where a policy looks. So the requests are made of the groups, users,
scopes, lines, attributes and moments that stand in the policies, beside the devices of the
reference fleet; what the changed policies look at is asked about more finely (see ``samples``), and
whoever they name also together with everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from infra.policies.comparison.literals import Literals, literals
from infra.policies.comparison.samples import Samples
from service.cedar.binding import unbind_uid
from service.cedar.entities import GROUP, USER
from service.cedar.request import TokenBearer
from service.cedar.statement import named_entities, statement_est

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from infra.policies.cases.reference_fleet import ReferenceFleet
    from infra.policies.cases.requests import Resource
    from service.cedar.policy_set import PolicySet
    from service.cedar.request import RequestContext
    from service.cedar.values import EntityUid

_REGION: Final = "custom:region"

# The groups of one person, and that person if some policy names them.
People = frozenset["EntityUid"]


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """Who is asked about, when, and what; the keys are words for people.

    Attributes:
        not_asked: what there was too much of.
    """

    bearers: dict[str, TokenBearer]
    contexts: dict[str, RequestContext]
    resources: dict[str, Resource]
    not_asked: tuple[str, ...] = ()


def subjects(
    *sets: PolicySet,
    changing: PolicySet,
    fleet: ReferenceFleet,
    tenant: str,
    pool_id: str,
    now: datetime,
) -> Subjects:
    """Everything that the sets name, on the day of ``now`` and around each moment that they name.

    Args:
        sets: the policies before and after.
        changing: of these, those that come or go.
        fleet: whose devices are varied.
        tenant: tenant id.
        pool_id: the tenant's user pool, to which all are bound.
        now: the day to ask about, with a time zone; a day begins in UTC.
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
            # Each by itself, and all together: a policy may ask for two groups at once.
            together = {frozenset({entity}) for entity in ours}
            together |= {frozenset(ours)} if ours else set()
            everybody |= together
            if policies is changing:
                changed |= together
    looked_at = literals(text for policies in sets for text in policies.statements())
    looked_at_anew = literals(changing.statements())
    samples = Samples(
        looked_at=looked_at, changed=looked_at_anew, fleet=fleet, tenant=tenant, now=now
    )
    region = str(fleet.device("press-07").attributes["region"])
    return Subjects(
        bearers=dict(_bearers(everybody, changed, looked_at, region)),
        contexts=dict(samples.contexts()),
        resources=dict(samples.resources(named)),
        not_asked=tuple(samples.not_asked()),
    )


def _named(policies: PolicySet) -> Iterator[tuple[set[EntityUid], set[EntityUid]]]:
    """Of each policy and link the people that it names together, and everything that it names."""
    for text in policies.statements():
        entities = _entities(text)
        yield {entity for entity in entities if entity.type in (GROUP, USER)}, entities
    for link in policies.links:
        template = _entities(policies.templates[link.template])
        groups = {entity for entity in template if entity.type == GROUP}
        yield {link.principal, *groups}, {link.principal, link.resource}


def _entities(text: str) -> set[EntityUid]:
    return set(named_entities(statement_est(text)))


def _bearers(
    everybody: set[People], changed: set[People], looked_at: Literals, region: str
) -> Iterator[tuple[str, TokenBearer]]:
    yield "no group", TokenBearer(claims={_REGION: region})
    plain = {people for people in everybody if _one_person(people)}
    for people in sorted(plain, key=_sorted_words):
        title, bearer = _person(people, region)
        yield title, bearer
        if looked_at.reads(f"principal.{_REGION}"):
            yield f"{title}, no region", replace(bearer, claims={})
        for other in sorted(looked_at.texts.get(f"principal.{_REGION}", ())):
            yield f"{title}, of region {other}", replace(bearer, claims={_REGION: other})
        for email in sorted(looked_at.texts.get("principal.email", ())):
            yield f"{title}, {email}", replace(bearer, claims={_REGION: region, "email": email})
    # Where no changed policy looks at either of two groups, both together are decided as one alone.
    pairs = {one | other for one in plain for other in changed} - plain
    for people in sorted(filter(_one_person, pairs), key=_sorted_words):
        yield _person(people, region)
    yield from _machines(looked_at)


def _machines(looked_at: Literals) -> Iterator[tuple[str, TokenBearer]]:
    scopes = sorted(looked_at.texts.get("context.token.scope", ()))
    for scope in scopes:
        yield f"machine with {scope}", TokenBearer(subject="client", scopes=(scope,))
        # The same scope in a token whose subject is not its client: a person's.
        yield (
            f"person's access token with {scope}",
            TokenBearer(subject="someone", client_id="app", scopes=(scope,)),
        )
    for client in sorted(looked_at.texts.get("context.token.client_id", set()) - set(scopes)):
        bearer = TokenBearer(subject=client, scopes=tuple(scopes))
        yield f"machine {client} with every scope", bearer


def _one_person(people: People) -> bool:
    return sum(entity.type == USER for entity in people) <= 1


def _person(people: People, region: str) -> tuple[str, TokenBearer]:
    groups = sorted(entity.id for entity in people if entity.type == GROUP)
    users = [entity.id for entity in people if entity.type == USER]
    title = " + ".join([*(f"user {user}" for user in users), *groups])
    bearer = TokenBearer(groups=tuple(groups), claims={_REGION: region})
    return title, replace(bearer, subject=users[0]) if users else bearer


def _sorted_words(people: People) -> list[str]:
    return sorted(map(str, people))
