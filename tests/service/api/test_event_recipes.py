"""Each line of ``docs/events.md`` does what the page says, and the page knows each event."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.domain.events import EventType
from service.operations.event_streams import StreamEnd
from tests.service.api.test_events import connected, messages, told
from tests.service.api.test_recipes import BLOCK, Shell

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

PAGE: Final = Path(__file__).parents[3] / "docs" / "events.md"


def test_every_recipe_of_events_works(service: ServiceUnderTest) -> None:
    """With what it is said to be told: of now, of all that is kept, of the tenant too."""
    token = service.acme.id_token("boss", ["managers"])
    shell = Shell(service=service)
    shell.variables |= {"API": "http://api.test", "TOKEN": token}
    told(service, connected("press-01"))
    block, webhooks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    now, all_kept, with_refusals = (
        [one.get("event") for one in messages(shell.curl(line).text)]
        for line in block.strip().splitlines()
    )
    assert now == with_refusals == [None, "end"]
    assert all_kept == [None, "device.connected", "end"]
    for line in webhooks.strip().splitlines():
        shell.run(line)


def test_the_page_names_every_event_and_every_end() -> None:
    """And no other; what is said of ``data`` is what `event_of_rule` and the trail give."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`([a-z.-]+)`", row)}
    assert named == set(EventType) - {EventType.UNKNOWN}
    assert all(f"`{end}`" in page for end in StreamEnd)
