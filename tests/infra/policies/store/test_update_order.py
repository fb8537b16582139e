"""An update of a policy store never gives an answer that is wrong before and after."""

from __future__ import annotations

import itertools
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as some

from infra.policies.cases.personas import AT_NIGHT, PERSONAS
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID
from infra.policies.cases.requests import all_requests
from infra.policies.store.update_order import Piece, Step, pieces, plan
from service.cedar.evaluator import Evaluator
from tests.infra.policies.conftest import FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from service.cedar.policy_set import PolicySet
    from service.cedar.request import AuthorizationRequest
    from service.cedar.statement import Effect
    from tests.infra.policies.conftest import LiveStore

SEED = int(os.environ.get("CEDARFLEET_SEED", "0")) or int.from_bytes(os.urandom(4))
REQUESTS = range(4)

# A policy in the abstract: its effect, and the requests that it matches.
POLICY = some.tuples(
    some.sampled_from(["permit", "forbid"]),
    some.frozensets(some.sampled_from(REQUESTS), min_size=1),
)
POLICIES = some.frozensets(POLICY, max_size=6)


def abstract(policies: Iterable[tuple[Effect, frozenset[int]]]) -> list[Piece]:
    """Pieces whose statement lists the requests that they match."""
    return [
        Piece(name=repr(sorted(matched)), effect=effect, statement=f"{effect} {sorted(matched)}")
        for effect, matched in policies
    ]


def allowed(store: Iterable[Piece]) -> set[int]:
    """Cedar's rule: some permit matches and no forbid does."""
    matched = {
        effect: {r for p in store if p.effect == effect for r in REQUESTS if str(r) in p.statement}
        for effect in ("permit", "forbid")
    }
    return matched["permit"] - matched["forbid"]


def wrong_answers(old: list[Piece], new: list[Piece], steps: Iterable[Step]) -> set[int]:
    """The requests that, after some step, are answered as neither set answers them."""
    store, before, after = list(old), allowed(old), allowed(new)
    wrong: set[int] = set()
    for step in steps:
        if step.verb == "create":
            store.append(step.piece)
        else:
            store.remove(step.piece)
        now = allowed(store)
        wrong |= (now - before - after) | ((before & after) - now)
    assert allowed(store) == after
    return wrong


@pytest.mark.soak
@seed(SEED)
@settings(deadline=None, database=None)
@given(old=POLICIES, new=POLICIES)
def test_no_step_of_a_plan_gives_a_wrong_answer(
    old: frozenset[tuple[Effect, frozenset[int]]], new: frozenset[tuple[Effect, frozenset[int]]]
):
    """After each step every answer is that of one of the sets; what both allow stays allowed."""
    before, after = abstract(old), abstract(new)
    assert wrong_answers(before, after, plan(before, after)) == set(), f"seed {SEED}"


def test_other_orders_give_wrong_answers():
    """Delete first refuses what both allow; permits first allow what neither does."""
    permit, narrow, forbid = abstract(
        [("permit", frozenset({0, 1})), ("permit", frozenset({0})), ("forbid", frozenset({1}))]
    )
    steps = plan([permit], [narrow])
    assert wrong_answers([permit], [narrow], steps) == set()
    assert wrong_answers([permit], [narrow], reversed(steps)) == {0}
    steps = plan([], [permit, forbid])
    assert wrong_answers([], [permit, forbid], steps) == set()
    assert wrong_answers([], [permit, forbid], reversed(steps)) == {1}
    steps = plan([permit, forbid], [])
    assert wrong_answers([permit, forbid], [], steps) == set()
    assert wrong_answers([permit, forbid], [], reversed(steps)) == {1}


def test_plan_leaves_alone_what_stays(policies: PolicySet):
    """Equal sets need no step; a changed policy is a new one before the old one goes."""
    assert plan(pieces(policies), pieces(policies)) == ()
    steps = plan(pieces(policies), pieces(changed(policies)))
    assert [str(step) for step in steps] == [
        "create forbid no-stops-by-machines",
        "create permit managers-everything",
        "create permit managers-see",
        "delete permit managers-everything",
        "delete permit operators-view",
        "delete permit sam-tonight",
        "delete forbid operators-view-only",
    ]


def changed(policies: PolicySet) -> PolicySet:
    """Another set: a permission moves, permits and a link go, a forbid comes and one goes."""
    static = dict(policies.static)
    everything = static["managers-everything"]
    static["managers-everything"] = everything.replace('Fleet::Action::"View", ', "").replace(
        '[Fleet::Action::"View",\n     ', "["
    )
    static["managers-see"] = static["operators-view"].replace("operators", "managers")
    static["no-stops-by-machines"] = (
        '@id("no-stops-by-machines") '
        'forbid (principal, action == Fleet::Action::"StopDevice", resource) '
        "when { context has token };"
    )
    del static["operators-view"], static["operators-view-only"]
    assert static["managers-everything"] != everything
    links = tuple(link for link in policies.links if link.id != "sam-tonight")
    return replace(policies, static=static, links=links)


def test_live_store_gives_no_wrong_answer_during_updates(
    policies: PolicySet, live_store: LiveStore
):
    """While a store goes back and forth between two sets, every decision is that of one of them."""
    other = changed(policies)
    old, new = (Evaluator(p) for p in (policies, other))
    for step in plan([], pieces(policies)):
        live_store.take(step)
    requests = [
        request
        for persona in PERSONAS
        if persona.title
        in {"Manager", "Operator", "Machine with scopes fleet/view and fleet/operate"}
        for _, _, request in all_requests(
            persona.bearer(FLEET),
            AT_NIGHT,
            {name: FLEET.resources()[name] for name in ("press-07", "globex's press-07")},
            tenant=TENANT_ID,
            pool_id=POOL_ID,
        )
    ]
    right = {request.action: request for request in requests}
    assert any(old.evaluate(q).allowed is not new.evaluate(q).allowed for q in requests), right
    done = threading.Event()
    wrong: list[tuple[AuthorizationRequest, bool]] = []
    asked: list[int] = [0, 0]

    def ask(number: int, seen: Callable[[AuthorizationRequest], set[bool]]) -> None:
        for request in itertools.cycle(requests[number::2]):
            if done.is_set() and asked[number] > len(requests):
                return
            answer = live_store.allows(request)
            asked[number] += 1
            if answer not in seen(request):
                wrong.append((request, answer))

    possible = {id(q): {old.evaluate(q).allowed, new.evaluate(q).allowed} for q in requests}
    askers = [threading.Thread(target=ask, args=(n, lambda q: possible[id(q)])) for n in range(2)]
    for asker in askers:
        asker.start()
    for one, two in ((policies, other), (other, policies), (policies, other)):
        for step in plan(pieces(one), pieces(two)):
            live_store.take(step)
    done.set()
    for asker in askers:
        asker.join()
    assert wrong == []
    assert all(live_store.allows(q) is new.evaluate(q).allowed for q in requests)
    assert min(asked) > len(requests)
