"""When policies are parsed: once for each change of a store, never for a request."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from .conftest import Ask

PEOPLE = 300


@contextmanager
def parses() -> Generator[list[int]]:
    """How often Cedar reads policies in here, in a list of one; counted by a profiling hook."""
    total = [0]

    def count(_frame: object, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ == "from_str":
            total[0] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield total
    finally:
        sys.setprofile(before)


def test_a_store_with_many_people_is_parsed_once_for_each_change(ask: type[Ask]):
    """Hundreds of principals, each with an own policy, parse nothing until a policy changes."""
    asked = ask()
    store, made = asked.store(
        *(f'permit(principal == U::"u{n}", action, resource);' for n in range(PEOPLE))
    )

    def decide(number: int) -> tuple[str, list[dict[str, str]]]:
        answer = asked(
            "IsAuthorized",
            policyStoreId=store,
            principal={"entityType": "U", "entityId": f"u{number}"},
            action={"actionType": "Action", "actionId": "do"},
            resource={"entityType": "R", "entityId": "r"},
        )
        return answer["decision"], answer["determiningPolicies"]

    for policy_id in (made[0], made[1]):
        with parses() as total:
            for number in (*range(2, PEOPLE), *range(2, PEOPLE)):
                assert decide(number) == ("ALLOW", [{"policyId": made[number]}])
        assert total == [1]
        asked("DeletePolicy", policyStoreId=store, policyId=policy_id)
    assert decide(0) == decide(1) == ("DENY", [])
