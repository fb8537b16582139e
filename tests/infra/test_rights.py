"""docs/rights.md says of each right where it is used, or why it is granted; and nothing else."""

from __future__ import annotations

import re

from tests.infra.granted import GRANTED
from tests.rights import PAGE, page, used_by

TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\w+) \| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)


def told_used() -> dict[str, set[str]]:
    """What the page says was used in the journeys, by kind of role."""
    found: dict[str, set[str]] = {}
    for kind, action, where in ROWS:
        if where == "journeys":
            found.setdefault(kind, set()).add(action)
    return found


def test_the_page_has_every_right_and_no_other() -> None:
    """A right that is added has to be used, or to say why; one that goes leaves the page."""
    granted = {(kind, action) for kind, role in GRANTED.items() for action in role.actions}
    assert {(kind, action) for kind, action, _ in ROWS} == granted
    assert page(told_used()) == TEXT


def test_what_no_journey_uses_says_why() -> None:
    """Each such right has a reason of its own, and no reason stands for a right that is used."""
    assert [row for row in ROWS if row[2] == "?"] == []
    used = told_used()
    for kind, role in GRANTED.items():
        assert set(role.unseen) == role.actions - used.get(kind, set()), kind
        assert all(len(reason) > 20 for reason in role.unseen.values())


def test_only_what_was_allowed_counts() -> None:
    """A call that IAM refused shows no use, and a role of nobody's is none of ours."""
    lines = [
        "cedarfleet-acme\ts3:GetObject\tallowed",
        "cedarfleet-globex\tiot:Publish\tallowed",
        "cedarfleet-acme\ts3:DeleteObject\tdenied",
        "outsider\ts3:PutObject\tallowed",
    ]
    assert used_by(lines) == {"tenant": {"s3:GetObject", "iot:Publish"}}
