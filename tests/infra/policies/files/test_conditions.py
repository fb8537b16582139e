"""A condition that reads what is not there is out, wherever in an expression that stands."""

from __future__ import annotations

from typing import Final

import pytest

from infra.policies.files.conditions import AbsentError, Conditions
from service.cedar.statement import statement_est
from tests.infra.policies.files.test_known_names import SCHEMA

STOPS: Final = next(
    one
    for one in SCHEMA.environments
    if (one.action, one.resource) == ("StopDevice", "Fleet::Device")
)
READING: Final = (
    'resource.kind == "press"',
    '"press" != resource.kind',
    "resource.kind == resource.kind",
    "resource.kind == principal.email",
    'resource.kind like "*"',
    'resource.kind like "p*"',
    'resource.kind < "p"',
    "resource.kind <= resource.kind",
    '["press", "pump"].contains(resource.kind)',
    '[resource.kind].containsAll(["press"])',
    'resource.kind in Fleet::Group::"managers"',
    'resource.kind has "length"',
    'resource.tenant == Fleet::Group::"managers"',
    'resource.tenant in Fleet::Group::"managers"',
    '(if principal is Fleet::User then resource.kind else "x") == "press"',
    '!(resource.kind == "press")',
)


def body(condition: str) -> dict[str, object]:
    """A condition in Cedar's JSON form."""
    est = statement_est(f"permit (principal, action, resource) when {{ {condition} }};")
    return est["conditions"][0]["body"]


@pytest.mark.parametrize("condition", READING)
def test_what_is_absent_is_never_read(condition: str) -> None:
    """Cedar leaves the policy out then; asked leniently, each condition comes to something."""
    attribute = "tenant" if "tenant" in condition else "kind"
    there, reads = body(f"resource has {attribute}"), body(condition)
    found: set[tuple[bool, bool]] = set()
    strict = Conditions([there, reads], STOPS, SCHEMA)

    def evaluate() -> None:
        is_there = strict.holds(there)
        strict.holds(body("principal has email"))
        try:
            strict.holds(reads)
        except AbsentError:
            found.add((is_there, False))
        else:
            found.add((is_there, True))

    strict.each(evaluate)
    assert (True, True) in found
    assert (False, True) not in found, "it is read though it is not there"
    lenient = Conditions([there, reads], STOPS, SCHEMA, lenient=True)
    lenient.each(lambda: lenient.holds(reads))
    assert lenient.seen[id(reads)]
