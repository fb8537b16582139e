"""The decision cases of ``policies/cases``, and that they speak of every policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.policies import fleet
from infra.policies.cases import Case, Judge, read

POLICIES = Path(__file__).parents[2] / "policies"
CASES = list(read(POLICIES))
JUDGE = Judge(POLICIES)


@pytest.mark.parametrize("case", CASES, ids=[case.file.removeprefix("policies/cases/") for case in CASES])
def test_case(case: Case):
    """The policies decide as the case says, by the policies that it names, and none fails to evaluate."""
    assert JUDGE.decide(case) == case.expected, case.why


def test_every_policy_decides_a_case():
    """No policy is there that no case sees decide; templates are seen through the reference fleet's grants."""
    named = {policy for case in CASES for policy in case.expected.policies}
    files = {path.stem for path in (*POLICIES.glob("static/*.cedar"), *POLICIES.glob("../tenants/*/policies/*.cedar"))}
    grants = {grant.id for grant in fleet.GRANTS} - {"lee-until-november"}  # it has ended
    assert sorted((files | grants) - named) == []


def test_there_are_enough_cases_of_both_kinds():
    """Both folders are really read."""
    assert sum(case.expected.allowed for case in CASES) >= 25
    assert sum(not case.expected.allowed for case in CASES) >= 45
