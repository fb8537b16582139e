"""What callers may do, asked beforehand; and lists that show what they may view."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.device_filter import DeviceFilter, cut
from service.domain.devices import Device
from service.domain.people import Person
from service.domain.permissions import OF_DEVICES, OF_GROUPS, OF_TENANT, READING, Permission
from service.errors import UnavailableError
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.operations.policies import Policies
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from tests.service.conftest import ServiceUnderTest


def check(service: ServiceUnderTest, *checks: dict[str, Any], as_: str) -> httpx.Response:
    """Ask what somebody may do."""
    return service.call("POST", "/v1/permissions/check", as_=as_, json={"checks": list(checks)})


def answers(service: ServiceUnderTest, *checks: dict[str, Any], as_: str) -> list[dict[str, Any]]:
    """What came of it."""
    answer = check(service, *checks, as_=as_)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["answers"]
    return found


def test_buttons_are_there_or_say_why_not(service: ServiceUnderTest) -> None:
    """Managers and operators ask the same; nothing is audited, since nothing is done."""
    asked: list[dict[str, Any]] = [
        {"action": "ListDevices"},
        {"action": "ViewDevice", "device": "press-01"},
        {"command": "stop", "device": "press-01"},
        {"action": "DownloadFile", "device": "press-01", "artifact": "recipes/steel.json"},
        {"action": "DownloadFile", "group": "line-press", "artifact": "recipes/steel.json"},
        {"action": "RegisterDevice"},
    ]
    before = len(service.ports.audit.trail)
    assert [one["allowed"] for one in answers(service, *asked, as_="managers")] == [True] * 6
    of_operators = answers(service, *asked, as_="operators")
    assert [one["allowed"] for one in of_operators] == [True, True, False, False, False, False]
    assert of_operators[1] == {
        "allowed": True,
        "policies": ["operators-view"],
        "explanation": None,
    }
    assert of_operators[2] == {
        "allowed": False,
        "policies": ["operators-view-only"],
        "explanation": "forbidden by policy `operators-view-only`",
    }
    assert len(service.ports.audit.trail) == before


def test_an_emergency_is_asked_for_as_it_would_be_declared(service: ServiceUnderTest) -> None:
    """Responders act on what is critical in an emergency with a reason, and not else."""
    stop = {"command": "stop", "device": "press-01"}
    declared = {**stop, "emergency": {"reason": "fire in hall 1"}}
    found = answers(service, stop, declared, as_="emergency-responders")
    assert [one["allowed"] for one in found] == [False, True]


def test_an_answer_is_what_the_act_then_meets(service: ServiceUnderTest) -> None:
    """Each persona, each command: what the check says, the command says."""
    for person in ("managers", "operators", "process-engineers", "it-staff", "technicians"):
        for command in ("stop", "reboot", "set-parameters", "run-diagnostics"):
            (told,) = answers(service, {"command": command, "device": "press-01"}, as_=person)
            answer = service.call(
                "POST", "/v1/devices/press-01/commands", as_=person, json={"name": command}
            )
            assert told["allowed"] is (answer.status_code == 202), (person, command, told)


def test_who_may_not_view_a_device_learns_no_name(service: ServiceUnderTest) -> None:
    """A refusal of what is there reads as of what is not there."""
    service.ports.devices.add(
        Device(tenant="acme", id="pump-09", attributes={"criticality": "low"})
    )
    found = answers(
        service,
        *({"command": "stop", "device": device} for device in ("pump-09", "pump-10", "pump-01")),
        as_="emergency-responders",
    )
    for device, told in zip(("pump-09", "pump-10", "pump-01"), found, strict=True):
        assert told == {
            "allowed": False,
            "policies": [],
            "explanation": f"there is no device `{device}` that you may view",
        }


@pytest.mark.parametrize(
    ("question", "field", "words"),
    [
        ({}, "checks[0].action", "give either an `action` or a `command`"),
        ({"action": "StopDevice"}, "checks[0].device", "asked of a device: name it"),
        (
            {"action": "StopDevice", "command": "stop", "device": "press-01"},
            "checks[0].action",
            "give either",
        ),
        ({"action": "ListDevices", "device": "press-01"}, "checks[0].device", "is not asked of"),
        ({"action": "StopDevice", "group": "line-press"}, "checks[0].group", "is not asked of"),
        (
            {"action": "DownloadFile", "group": "line-press", "device": "press-01"},
            "checks[0].group",
            "not of both",
        ),
        (
            {"action": "DownloadFile", "device": "press-01", "artifact": "firmware/press-2.bin"},
            "checks[0].action",
            "to deliver this file is `UpdateFirmware`",
        ),
        (
            {"action": "DownloadFile", "device": "press-01", "artifact": "../secret"},
            "checks[0].artifact",
            "must be a relative name",
        ),
        ({"command": "dance", "device": "press-01"}, "checks[0].command", "it has: reboot, "),
        ({"action": "Everything"}, "checks[0].action", ""),
    ],
)
def test_a_question_with_a_slip_is_told(
    service: ServiceUnderTest, question: dict[str, Any], field: str, words: str
) -> None:
    """By its place and name, with what would be right."""
    answer = check(service, question, as_="managers")
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert words in error["problem"]


def test_what_cannot_be_asked_is_not_allowed(service: ServiceUnderTest) -> None:
    """A file or group that there is not, firmware for a group: in words, beside the others."""
    found = answers(
        service,
        {"action": "DownloadFile", "device": "press-01", "artifact": "recipes/none.json"},
        {"action": "DownloadFile", "group": "line-none"},
        {"action": "UpdateFirmware", "group": "line-press", "artifact": "firmware/press-2.bin"},
        {"action": "ViewDevice", "device": "press-01"},
        as_="managers",
    )
    assert [one["allowed"] for one in found] == [False, False, False, True]
    assert [one["explanation"] for one in found[:3]] == [
        "the tenant has no file `recipes/none.json`",
        "the tenant has no group `line-none`",
        "firmware for a group is decided member by member: ask of its devices",
    ]


def test_a_hundred_questions_are_answered(service: ServiceUnderTest) -> None:
    """And no more at once; of ten different files at most."""
    one = {"command": "stop", "device": "press-01"}
    assert len(answers(service, *[one] * 100, as_="managers")) == 100
    assert check(service, *[one] * 101, as_="managers").status_code == 400
    files = [
        {"action": "DownloadFile", "device": "press-01", "artifact": f"f{number}"}
        for number in range(11)
    ]
    assert check(service, *files, as_="managers").status_code == 400


@pytest.mark.parametrize(
    ("person", "may"),
    [
        ("managers", sorted(OF_TENANT)),
        ("operators", [Permission.LIST_DEVICES, Permission.VIEW_FILE]),
        ("nobody", []),
    ],
)
def test_me_says_what_the_caller_may_do(
    service: ServiceUnderTest, person: str, may: list[str]
) -> None:
    """Of what is asked of the tenant itself."""
    answer = service.call("GET", "/v1/me", as_=person)
    assert answer.json()["may"] == may


def test_me_answers_while_no_policy_can_be_asked(service: ServiceUnderTest) -> None:
    """Who calls is known by the token; what they may do, nobody says, and `null` is not nothing."""

    class Silent(Policies):
        """Does not answer."""

        async def decide(self, principal: object, request: object) -> NoReturn:  # noqa: ARG002
            raise UnavailableError("the policy store")

        async def decide_all(self, principal: object, requests: object) -> NoReturn:  # noqa: ARG002
            raise UnavailableError("the policy store")

    ports = replace(service.ports, authorizer=Silent([]))
    service.app.state.operations = Operations(ports, TokenSettings())
    answer = service.call("GET", "/v1/me", as_="operators")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["groups"], answer.json()["may"]) == (["operators"], None)
    assert service.call("GET", "/v1/devices", as_="operators").status_code == 503


def test_a_list_shows_what_its_reader_may_view(service: ServiceUnderTest) -> None:
    """Responders see what is critical, managers all, and who may nothing an empty list."""
    service.ports.devices.add(
        Device(tenant="acme", id="pump-09", attributes={"criticality": "low"})
    )
    service.ports.devices.add(Device(tenant="acme", id="odd", attributes={"criticality": "x"}))
    presses = ["press-01", "press-02", "press-03"]
    for person, ids in (
        ("managers", ["odd", *presses, "pump-09"]),
        ("emergency-responders", presses),
        ("nobody", []),
    ):
        for limit in (1, 2, 100):
            seen: list[str] = []
            cursor: dict[str, str] = {}
            while True:
                params = {"limit": str(limit), **cursor}
                answer = service.call("GET", "/v1/devices", as_=person, params=params)
                assert answer.status_code == 200, answer.text
                seen += [device["id"] for device in answer.json()["devices"]]
                if answer.json()["cursor"] is None:
                    break
                cursor = {"cursor": answer.json()["cursor"]}
            assert seen == ids, (person, limit)


def test_a_policy_that_forbids_lists_refuses_them(service: ServiceUnderTest) -> None:
    """Also to who may view devices: nobody gets round a forbid by asking for less."""
    forbid = 'forbid (principal, action == Fleet::Action::"ListDevices", resource);'
    prepared(service, **{"no-lists": forbid})
    answer = service.call("GET", "/v1/devices", as_="managers")
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["no-lists"]


def test_a_list_says_what_may_be_done_with_each(service: ServiceUnderTest) -> None:
    """Where it is asked, and for the actions that are named; the same of one device."""
    service.ports.devices.add(Device(tenant="acme", id="odd", attributes={"criticality": "x"}))
    params = {"may": ["ViewDevice", "StopDevice", "ConfigureDevice"]}
    for person, may in (
        ("managers", ["ViewDevice", "StopDevice", "ConfigureDevice"]),
        ("operators", ["ViewDevice"]),
    ):
        answer = service.call("GET", "/v1/devices", as_=person, params=params)
        found = {one["id"]: one["may"] for one in answer.json()["devices"]}
        assert found == {"odd": [], **dict.fromkeys(("press-01", "press-02", "press-03"), may)}
        one = service.call("GET", "/v1/devices/press-01", as_=person, params=params)
        assert one.json()["may"] == may
    assert "may" not in service.call("GET", "/v1/devices/press-01").json()
    wrong = service.call("GET", "/v1/devices", params={"may": "ListDevices"})
    assert wrong.status_code == 400
    assert wrong.json()["errors"] == [
        {"field": "may", "problem": "`ListDevices` is not asked of a device"}
    ]
    assert service.call("GET", "/v1/devices", params={"may": "Fly"}).status_code == 400


def prepared(service: ServiceUnderTest, **policies: str) -> None:
    """Give the service a good copy of acme's policies."""
    acme = service.acme.tenant
    service.ports.policy_stores.stamp(acme, stamped(acme, **policies))
    assert asyncio.run(service.app.state.operations.decisions.prepare(acme))


def test_who_may_is_told_to_who_may_view_people(service: ServiceUnderTest) -> None:
    """Groups by themselves, people by all that they are in; what is asked of is viewed first."""
    regional = """permit (principal, action == Fleet::Action::"StopDevice", resource)
        when { principal has "custom:region" && principal["custom:region"] == "eu-central" };"""
    prepared(service, regional=regional)
    for number, (groups, region) in enumerate(
        ((("managers",), None), (("operators",), None), ((), "eu-central"), ((), "us-east"))
    ):
        one = Person(
            id=f"p{number}",
            subject=f"s{number}",
            email=f"p{number}@acme.test",
            state="active",
            enabled=number != 2,
            region=region,
            groups=groups,
        )
        service.ports.people.add("acme", one)
    stop = {"command": "stop", "device": "press-01"}
    answer = service.call("POST", "/v1/permissions/who", json=stop)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {one["group"]: one["allowed"] for one in found["groups"]} == {
        "managers": True,
        "operators": False,
        "operations-managers": False,
        "emergency-responders": False,
        "it-staff": False,
    }
    assert [
        (one["email"], one["allowed"], one["policies"], one["enabled"]) for one in found["people"]
    ] == [
        ("p0@acme.test", True, ["managers-everything"], True),
        ("p1@acme.test", False, ["operators-view-only"], True),
        ("p2@acme.test", True, ["regional"], False),
        ("p3@acme.test", False, [], True),
    ]
    assert found["cursor"] is None
    declared = {**stop, "emergency": {"reason": "fire"}}
    then = service.call("POST", "/v1/permissions/who", json=declared).json()
    assert "emergency-responders" in {one["group"] for one in then["groups"] if one["allowed"]}
    hidden = 'forbid (principal, action, resource == Fleet::Device::"press-02");'
    prepared(service, hidden=hidden)
    for question, status in (
        ({**stop, "device": "pump-01"}, 404),  # of globex
        ({**stop, "device": "press-02"}, 404),  # there, and not to be viewed
        ({"action": "DownloadFile", "group": "line-none"}, 409),
        ({"action": "StopDevice"}, 400),
    ):
        answer = service.call("POST", "/v1/permissions/who", json=question)
        assert answer.status_code == status, answer.text
    refused = service.call("POST", "/v1/permissions/who", as_="operators", json=stop)
    assert refused.status_code == 403


def test_who_may_needs_a_good_copy(service: ServiceUnderTest) -> None:
    """Nobody is told who may do what by policies of a while ago."""
    stop = {"command": "stop", "device": "press-01"}
    assert service.call("POST", "/v1/permissions/who", json=stop).status_code == 503


@settings(max_examples=80)
@given(
    st.lists(st.sampled_from(["shown", "hidden", "gone"]), max_size=30),
    st.integers(1, 5),
)
def test_pages_are_cut_at_what_is_shown(kinds: list[str], limit: int) -> None:
    """Whatever is hidden between: nothing twice, nothing missing, no page after the last."""
    devices = {
        f"d{number:02}": None if kind == "gone" else Device(tenant="acme", id=f"d{number:02}")
        for number, kind in enumerate(kinds)
    }
    shown = [name for name, kind in zip(devices, kinds, strict=True) if kind == "shown"]

    async def named(after: str) -> AsyncIterator[tuple[str, Device | None]]:
        for name, device in devices.items():
            if name > after:
                yield name, device

    async def viewed(some: Sequence[Device]) -> frozenset[str]:
        assert len(some) <= limit + 1, "no more are asked for than a page may need"
        return frozenset(one.id for one in some if one.id in shown)

    async def pages() -> list[list[str]]:
        found: list[list[str]] = []
        after: str | None = ""
        while after is not None:
            page, after = await cut(named(after), DeviceFilter(), {}, limit=limit, viewed=viewed)
            found.append([one.id for one in page])
        return found

    found = asyncio.run(pages())
    assert [name for page in found for name in page] == shown
    assert all(len(page) == limit for page in found[:-1])
    assert len(found) == max(1, -(-len(shown) // limit))


def test_the_schema_says_what_each_action_is_asked_of() -> None:
    """The sets of the domain are the schema's `appliesTo`, and what is asked of a device too."""
    schema = json.loads(stamped(MemoryUserPool("acme").tenant).schema)["Fleet"]["actions"]
    of: dict[str, set[str]] = {
        name: {one.rpartition("::")[2] for one in action["appliesTo"]["resourceTypes"]}
        for name, action in schema.items()
        if action.get("appliesTo")
    }
    assert of.keys() == set(Permission)
    assert {name for name, types in of.items() if "Tenant" in types} == OF_TENANT
    assert {name for name, types in of.items() if "DeviceGroup" in types} == OF_GROUPS
    assert {name for name, types in of.items() if "Device" in types} == OF_DEVICES
    assert READING <= OF_TENANT | OF_DEVICES
