"""Each line of ``docs/permissions.md`` does what the page says: its curls are asked of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.service.api.test_permissions import prepared
from tests.service.api.test_recipes import BLOCK, Shell

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

PAGE: Final = Path(__file__).parents[3] / "docs" / "permissions.md"


def test_each_recipe_of_permissions_is_right(service: ServiceUnderTest) -> None:
    """Asked of a service with the base's policies; what if says what the page says it does."""
    prepared(service)
    shell = Shell(service)
    shell.variables |= {
        "API": "http://api.test",
        "TOKEN": service.acme.id_token("boss", ["managers"]),
    }
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.strip().splitlines()]
    flips: list[bool] = []
    for line in lines:
        answer = shell.curl(line)
        assert answer.status_code == 200, line
        if "simulate" in line:
            flips.append(json.loads(answer.text)["flips"])
    # The responder may in an emergency, IT staff lacks a grant, and a forbid stops the manager.
    assert flips == [False, True, True]
    assert len(lines) == 5
