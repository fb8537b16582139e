"""Each line of ``docs/rollouts.md`` does what the page says, four eyes where a policy asks too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.policy_set import PolicySet
from service.domain.wanted_versions import Running
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.api.test_downloads import FIRMWARE, URL
from tests.service.api.test_recipes import BLOCK, Shell
from tests.service.api.test_wanted_versions import FILE as WANTED_FILE
from tests.service.api.test_wanted_versions import upload
from tests.service.conftest import POLICIES

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

PAGE: Final = Path(__file__).parents[3] / "docs" / "rollouts.md"
APPROVED: Final = """forbid (principal, action == Fleet::Action::"UpdateFirmware", resource)
when { !(context has targets) || context.targets > 1 }
unless { context has planned && context has approved && context.approved };"""


@pytest.fixture(scope="module")
def asking() -> CedarAuthorizer:
    """The base, and a policy that asks for an approval."""
    files = {file.stem: file.read_text() for file in (POLICIES / "static").glob("*.cedar")}
    policies = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(),
        static={**files, "large-firmware-is-approved": APPROVED},
        templates={},
        links=(),
    )
    return CedarAuthorizer(POLICIES, {"acme": policies})


@pytest.fixture
def careful(service: ServiceUnderTest, asking: CedarAuthorizer) -> ServiceUnderTest:
    """A service whose tenant has that policy."""
    ports = replace(service.ports, authorizer=asking)
    service.app.state.operations = Operations(ports, TokenSettings())
    return service


def test_each_recipe_of_rollouts_is_right(careful: ServiceUnderTest) -> None:
    """From the plan to the approval, as two managers."""
    upload(careful)
    told = Running(device="press-01", package="press-controller", version="2.0", at=1_000)
    asyncio.run(careful.ports.running_versions.tell(careful.acme.tenant, told))
    shell = Shell(careful)
    shell.variables |= {
        "API": "http://api.test",
        "TOKEN": careful.acme.id_token("boss", ["managers"]),
        "OTHER": careful.acme.id_token("deputy", ["managers"]),
        "FILE": WANTED_FILE,
    }
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    for line in (line for block in blocks for line in block.strip().splitlines()):
        shell.run(line)
    assert len(blocks) == 8
    selected, first, second = careful.ports.download_records.once.records.values()
    assert (selected.target_kind, selected.target, selected.devices) == ("selection", "all", 2)
    assert (first.closing, first.waves) == ("canceled", (1, 2))
    assert second.approved_by is not None
    assert not second.awaits_approval


def test_nobody_approves_their_own(careful: ServiceUnderTest) -> None:
    """The plan says that it needs a second person; who started it is refused by the policy."""
    made = careful.call("POST", f"{URL}/plan", json={"artifact": FIRMWARE, "group": "line-press"})
    assert (made.json()["needs_approval"], made.json()["counts"]) == (True, {"allowed": 3})
    started = careful.call("POST", URL, json={"plan": made.json()["id"]})
    where = started.headers["Location"]
    assert careful.call("GET", where).json()["state"] == "awaiting_approval"
    own = careful.call("POST", f"{where}/approve")
    assert (own.status_code, own.json()["policies"]) == (403, ["approved-by-another"])
    assert careful.call("POST", f"{where}/approve", as_="operators").status_code == 403
    careful.tokens["deputy"] = careful.acme.id_token("deputy", ["managers"])
    assert careful.call("POST", f"{where}/approve", as_="deputy").status_code == 202
    assert careful.call("POST", f"{where}/approve", as_="deputy").status_code == 202
    third = careful.acme.id_token("third", ["managers"])
    careful.tokens["third"] = third
    assert careful.call("POST", f"{where}/approve", as_="third").status_code == 409


def test_an_unplanned_delivery_meets_its_size(careful: ServiceUnderTest) -> None:
    """Without a plan the same policy refuses a group, and lets one device be."""
    group = careful.call("POST", URL, json={"artifact": FIRMWARE, "group": "line-press"})
    assert (group.status_code, group.json()["policies"]) == (403, ["large-firmware-is-approved"])
    one = careful.call("POST", URL, json={"artifact": FIRMWARE, "device": "press-01"})
    assert one.status_code == 202
