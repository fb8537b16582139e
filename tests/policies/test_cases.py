"""The decision cases of ``policies/cases``, and that they speak of every policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.policies import load
from infra.policies.cases.cases import Case, CaseEvaluator, case_policies, read
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from service.cedar.evaluator import Evaluator

POLICIES = Path(__file__).parents[2] / "policies"
CASES = list(read(POLICIES))
EVALUATOR = CaseEvaluator(POLICIES)
FLEET = ReferenceFleet.read(POLICIES)
BASE = load(POLICIES, FLEET.policies).policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)


@pytest.mark.parametrize(
    "case", CASES, ids=[case.file.removeprefix("policies/cases/") for case in CASES]
)
def test_case(case: Case):
    """The policies decide as the case says, by those that it names, and none fails to evaluate."""
    assert EVALUATOR.evaluate(case) == case.expected, case.why


def test_every_policy_decides_a_case():
    """No policy is there that no case sees decide; templates decide through the fleet's grants."""
    named = {policy for case in CASES for policy in case.expected.policies}
    files = {
        path.stem
        for path in (
            *POLICIES.glob("static/*.cedar"),
            *POLICIES.glob("../tenants/*/policies/*.cedar"),
        )
    }
    grants = {grant.id for grant in FLEET.grants} - {"lee-until-november"}  # it has ended
    assert sorted((files | grants) - named) == []


def without(policy: str, tenant: str | None) -> Evaluator:
    """All but one policy of the base, with a tenant's own if a case asks for them."""
    whole = BASE
    if tenant is not None:
        bundle = load(POLICIES, case_policies(POLICIES, tenant))
        whole = bundle.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)
    static = {name: statement for name, statement in whole.static.items() if name != policy}
    return Evaluator(replace(whole, static=static))


@pytest.mark.parametrize("policy", sorted(BASE.static))
def test_no_policy_is_superfluous(policy: str):
    """Without the policy some case comes out otherwise."""
    decided = [case for case in CASES if policy in case.expected.policies]
    assert any(
        without(policy, case.tenant_policies).evaluate(case.request).allowed
        is not case.expected.allowed
        for case in decided
    )


def test_there_are_enough_cases_of_both_kinds():
    """Both folders are really read."""
    assert sum(case.expected.allowed for case in CASES) >= 25
    assert sum(not case.expected.allowed for case in CASES) >= 45
