"""The policy of a grant: what a template says, of one person and place, until an end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.cedar.granted import (
    fingerprint,
    granted_statement,
    is_granted,
    with_granted,
    written_out,
)
from service.cedar.values import EntityUid
from tests.service.stamped_policies import PERMIT_ALL

WHO, WHERE = EntityUid("Fleet::User", "pool|kim"), EntityUid("Fleet::Device", "press-07")
TEMPLATE = """// of ?principal
@id("technician")
permit (
  principal == ?principal, // not the ?resource
  action, resource == ?resource
) when { resource.hasTag("?principal \\" ?resource") };"""
GRANT_ID = "01JD0000000000000000000000"
ENDS = datetime(2026, 12, 24, 18, tzinfo=UTC)


def test_slots_are_filled_where_they_are_slots() -> None:
    """In comments and strings they are words."""
    said = written_out(TEMPLATE, principal=WHO, resource=WHERE)
    assert said == TEMPLATE.replace("== ?principal,", f"== {WHO},").replace(
        "== ?resource\n", f"== {WHERE}\n"
    )


def test_a_grants_policy_is_the_permit_under_its_own_id() -> None:
    """Without what stands before the permit; it is known as a grant's, and a stack's is not."""
    made = granted_statement(TEMPLATE, grant_id=GRANT_ID, principal=WHO, resource=WHERE, until=ENDS)
    head, _, body = made.partition("\n")
    assert head == f'@id("grant-{GRANT_ID}")'
    assert body.startswith("permit (\n  principal == Fleet::User")
    assert [is_granted(one) for one in (made, TEMPLATE, PERMIT_ALL, body)] == [
        *[True],
        *[False] * 3,
    ]


@pytest.mark.parametrize("template", ["", PERMIT_ALL.replace("permit", "forbid"), "// permit"])
def test_what_permits_nothing_makes_no_grant(template: str) -> None:
    """A template that forbids would take rights away."""
    with pytest.raises(ValueError, match="no permit"):
        granted_statement(template, grant_id=GRANT_ID, principal=WHO, resource=WHERE, until=ENDS)


def test_grants_change_the_digest_of_a_stack() -> None:
    """Each one, in any order; without one it is as the stack says it."""
    one, other = fingerprint("one"), fingerprint("other")
    assert with_granted("d", []) == "d"
    assert with_granted("d", [one, other]) == with_granted("d", [other, one])
    digests = [with_granted("d", ones) for ones in ([], [one], [other], [one, other])]
    assert len(set(digests)) == len(digests)
