"""The terms of a policy are all of it: it applies where they come out so, and they have words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cedarpy
import pytest

from infra.policies import load
from infra.policies.cases.cases import case_policies, read
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID
from service.cedar.compiled import CompiledPolicies
from service.cedar.explanation import NEAREST, Explained, nearest
from service.cedar.statement import statement_est
from service.cedar.terms import Change, Term, clause_bodies, terms_of
from service.domain.permissions import Permission

ROOT = Path(__file__).parents[3]
POLICY_FILES = sorted(
    [*(ROOT / "policies").glob("*/*.cedar"), *(ROOT / "tenants").glob("*/policies/*.cedar")]
)


def terms(text: str) -> tuple[Term, ...]:
    """Of one statement."""
    return terms_of(statement_est(text))


@pytest.mark.parametrize("file", POLICY_FILES, ids=lambda file: file.stem)
def test_each_policy_of_the_house_has_words(file: Path) -> None:
    """Each of its conditions: nobody who is refused reads Cedar instead of a sentence."""
    est = statement_est(file.read_text(encoding="utf-8"))
    words: dict[str, Any] = est.get("annotations", {})
    for kind in ("when", "unless"):
        told = [one.strip() for one in words.get(kind, "").split(";") if one.strip()]
        assert len(told) == len(clause_bodies(est, kind)), (file.name, kind)


def test_terms_are_what_a_policy_applies_by() -> None:
    """In each case, of each policy that can apply: its terms come out so where Cedar says so."""
    compiled = {
        tenant: CompiledPolicies(
            load(ROOT / "policies", case_policies(ROOT / "policies", tenant)).policy_set.bound(
                tenant=TENANT_ID, pool_id=POOL_ID
            ),
            actions=Permission,
        )
        for tenant in (None, "acme", "globex")
    }
    asked = 0
    for case in read(ROOT / "policies"):
        if case.request.resource not in {entity.uid for entity in case.request.entities}:
            continue  # of what there is not, nobody is told anything
        policies = compiled[case.tenant_policies]
        evaluation = policies.evaluate(case.request)
        found = policies.explain(case.request, evaluation, name=lambda uid: uid)
        assert {one.policy for one in found if one.applies} >= set(evaluation.policies), case.file
        assert all(one.terms for one in found if not one.applies), case.file
        if not evaluation.allowed and not evaluation.policies and not evaluation.errors:
            assert not any(one.applies for one in found), case.file
        asked += len(found)
    assert asked > 200


def test_a_guard_is_part_of_what_it_guards() -> None:
    """A lone `has` is a term; one before another that reads the same is none."""
    guarded, alone = terms(
        """permit (principal, action, resource)
        when { resource has kind && resource.kind == "press" && context has reason };"""
    )
    assert guarded.condition == '(resource.kind) == "press"'
    assert guarded.changes == (Change.FACTS,)
    assert alone.condition == "context has reason"
    assert alone.changes == (Change.CALLER,)


def test_words_that_are_not_as_many_are_not_used() -> None:
    """Better Cedar's text than words for the wrong condition."""
    (one,) = terms(
        '@when("first; second") permit (principal, action, resource) when { context has now };'
    )
    assert one.words == one.condition == "context has now"


@pytest.mark.parametrize(
    ("condition", "changes"),
    [
        ('principal in Fleet::Group::"a"', [Change.PEOPLE]),
        ('resource in Fleet::DeviceGroup::"a"', [Change.GROUPS]),
        ('resource.hasTag("b")', [Change.TAGS]),
        ('resource.region == principal["custom:region"]', [Change.FACTS, Change.PEOPLE]),
        ("context.now.toTime() > resource.window_start", [Change.TIME, Change.FACTS]),
        ('context.token.scope.contains("x")', [Change.OPERATOR]),
        ("context.members_allowed", [Change.FACTS]),
        ('resource.tenant == Fleet::Tenant::"t"', [Change.OPERATOR]),
    ],
)
def test_who_can_change_follows_from_what_is_read(condition: str, changes: list[Change]) -> None:
    """People by who manages them, tags by who sets them, a token by the operator."""
    (one,) = terms(f"permit (principal, action, resource) when {{ {condition} }};")
    assert list(one.changes) == changes


def test_an_unless_is_split_where_one_part_is_enough() -> None:
    """Each alternative would keep the policy from applying."""
    either, other = terms(
        """@unless("x; y") forbid (principal, action, resource)
        unless { principal in Fleet::Group::"m" || (context has now && context has reason) };"""
    )
    assert (either.words, other.words) == ("x", "y")
    assert (either.applies, other.applies) == (False, False)


def test_terms_together_are_the_policy() -> None:
    """Written down, each term parses again: what is told is Cedar."""
    for file in POLICY_FILES:
        est = statement_est(file.read_text(encoding="utf-8"))
        if any("slot" in json.dumps(est[variable]) for variable in ("principal", "resource")):
            continue
        for term in terms_of(est):
            text = f"permit (principal, action, resource) when {{ {term.condition} }};"
            assert cedarpy.PolicySet.from_str(text) is not None


def test_the_nearest_are_few() -> None:
    """Those that lack least, and none where one applies: a refusal stays one that can be read."""

    def permit(name: str, *, applies: bool) -> Explained:
        return Explained(policy=name, effect="permit", applies=applies, terms=())

    some = [permit(f"p{number}", applies=False) for number in range(NEAREST + 2)]
    assert [one.policy for one in nearest(some)] == ["p0", "p1", "p2"]
    assert nearest([*some, permit("yes", applies=True)]) == ()
