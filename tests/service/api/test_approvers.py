"""Policies see who approved: one person's word counts where another's does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.policy_set import PolicySet
from service.domain.devices import Device
from service.domain.people import Person
from service.domain.rollouts import Shape
from service.operations.downloads import advance
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.api.test_downloads import FIRMWARE, URL
from tests.service.api.test_permissions import prepared
from tests.service.conftest import POLICIES
from tests.service.operations.fleet import ULID
from tests.service.operations.rollouts import begin_planned, reached

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool
    from tests.service.conftest import ServiceUnderTest

ASKS: Final = """unless {{ context has planned && context has approved && context.approved &&
    context has approver_groups && context.approver_groups.{} }};"""
TECHNICIAN: Final = ASKS.format('contains("technicians")')
BOTH: Final = ASKS.format('containsAll(["technicians", "it-staff"])')
OF_ONE: Final = """unless { context has planned && context has approved && context.approved &&
    (resource != Fleet::Device::"press-03" ||
        context has approver_groups && context.approver_groups.contains("technicians")) };"""
FORBID: Final = 'forbid (principal, action == Fleet::Action::"{}", {}) '
APPROVES: Final = """permit (principal in Fleet::Group::"technicians",
    action == Fleet::Action::"ApproveDownload", resource);"""
NAME: Final = "technicians-say-so"


def asking(forbid: str) -> CedarAuthorizer:
    """The base, where technicians may approve, and one more forbid."""
    files = {file.stem: file.read_text() for file in (POLICIES / "static").glob("*.cedar")}
    schema = (POLICIES / "schema.cedarschema").read_text()
    static = {**files, NAME: forbid, "technicians-approve": APPROVES}
    return CedarAuthorizer(
        POLICIES, {"acme": PolicySet(schema=schema, static=static, templates={}, links=())}
    )


def policed(service: ServiceUnderTest, forbid: str) -> None:
    """Have the tenant's policies ask who approved, and its manager be in the pool."""
    service.app.state.operations = Operations(
        replace(service.ports, authorizer=asking(forbid)), TokenSettings()
    )
    prepared(service, **{NAME: forbid, "technicians-approve": APPROVES})
    boss = Person(
        id="managers",
        subject=service.acme.claims("managers")["sub"],
        email="boss@acme.test",
        state="active",
        enabled=True,
        groups=("managers",),
    )
    service.ports.people.add("acme", boss)


@pytest.mark.parametrize("resource", ["resource", "resource is Fleet::Device"])
@pytest.mark.parametrize(
    ("condition", "enough"),
    [(TECHNICIAN, ["technicians"]), (BOTH, ["it-staff", "technicians"])],
)
def test_an_approval_counts_by_its_groups(
    service: ServiceUnderTest, resource: str, condition: str, enough: list[str]
) -> None:
    """Who may approve but is in none of the groups is told so, and the rollout waits on."""
    forbid = FORBID.format("UpdateFirmware", resource) + condition
    policed(service, forbid)
    made = service.call("POST", f"{URL}/plan", json={"artifact": FIRMWARE, "group": "line-press"})
    assert (made.json()["needs_approval"], made.json()["counts"]) == (True, {"allowed": 3})
    where = service.call("POST", URL, json={"plan": made.json()["id"]}).headers["Location"]
    for groups in (
        ["managers"],
        ["managers", "operators"],
        *([["technicians"]][: len(enough) - 1]),
    ):
        service.tokens["other"] = service.acme.id_token("other", groups)
        refused = service.call("POST", f"{where}/approve", as_="other")
        assert refused.status_code == 409
        assert f"`{NAME}` asks for somebody in other groups" in refused.json()["detail"]
        assert service.call("GET", where).json()["state"] == "awaiting_approval"
    service.tokens["right"] = service.acme.id_token("right", enough)
    assert service.call("POST", f"{where}/approve", as_="right").status_code == 202
    (record,) = service.ports.download_records.once.records.values()
    assert record.approver_groups == tuple(enough)


@pytest.mark.parametrize(("named", "status"), [("press-02", 202), ("press-03", 409)])
def test_an_approval_of_a_selection_is_of_its_devices(
    service: ServiceUnderTest, named: str, status: int
) -> None:
    """What is asked for other devices of the group that they lie in is nothing to it."""
    forbid = FORBID.format("UpdateFirmware", "resource is Fleet::Device") + OF_ONE
    policed(service, forbid)
    body = {"artifact": FIRMWARE, "devices": [named]}
    made = service.call("POST", f"{URL}/plan", json=body).json()
    started = service.call("POST", URL, json={"plan": made["id"]})
    assert started.status_code == 202, started.text
    service.tokens["other"] = service.acme.id_token("other", ["managers"])
    answer = service.call("POST", f"{started.headers['Location']}/approve", as_="other")
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("has_come", [False, True])
def test_what_is_not_reached_asks_for_nobody(service: ServiceUnderTest, *, has_come: bool) -> None:
    """A device that has not come yet, or that no policy can decide on, needs no approval."""
    forbid = FORBID.format("UpdateFirmware", "resource is Fleet::Device") + OF_ONE
    policed(service, forbid.replace("press-03", "press-09"))
    if has_come:
        unreadable = {"criticality": "extreme"}
        service.ports.devices.add(
            Device(tenant="acme", id="press-09", groups=("line-press",), attributes=unreadable)
        )
    else:
        registered = {"id": "press-09", "groups": ["line-press"]}
        assert service.call("POST", "/v1/devices", json=registered).status_code == 201
    made = service.call("POST", f"{URL}/plan", json={"artifact": FIRMWARE, "group": "line-press"})
    started = service.call("POST", URL, json={"plan": made.json()["id"]})
    assert started.status_code == 202, started.text
    service.tokens["other"] = service.acme.id_token("other", ["managers"])
    answer = service.call("POST", f"{started.headers['Location']}/approve", as_="other")
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(("groups", "begins"), [(("technicians",), True), (("managers",), False)])
def test_a_wave_is_decided_by_who_approved(
    pools: tuple[MemoryUserPool, MemoryUserPool], groups: tuple[str, ...], begins: bool
) -> None:
    """Whatever was thought when it was approved: each device is asked for with those groups."""

    async def scenario() -> None:
        policies = asking(FORBID.format("DownloadFile", "resource is Fleet::Device") + TECHNICIAN)
        fleet = await begin_planned(pools, policies, devices=2, shape=Shape(), needs_approval=True)
        records = fleet.ports.download_records
        assert await records.approve(fleet.tenant, fleet.stored, by="another", groups=groups)
        await fleet.ports.work_queue.send([advance(fleet.tenant, ULID)])
        await fleet.work()
        assert sorted(reached(fleet)) == (sorted(fleet.members) if begins else [])

    asyncio.run(scenario())
