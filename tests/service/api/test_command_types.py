"""Types of commands: declared by file and API, and what a command that is sent is held to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.domain.command_rules import CommandRules
from service.domain.command_types import MAX_TYPES, CommandTypeRecord
from service.domain.permissions import Permission

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

RECIPE: Final[dict[str, Any]] = {
    "name": "set-recipe",
    "action": "SetParameters",
    "parameters": {
        "type": "object",
        "properties": {"recipe": {"type": "string"}, "speed": {"type": "integer"}},
        "required": ["recipe"],
        "additionalProperties": False,
    },
    "timeout_seconds": 30,
    "max_timeout_seconds": 600,
    "needs_reason": True,
}
PATH: Final = "/v1/command-types/set-recipe"


def make(service: ServiceUnderTest, **changes: Any) -> httpx.Response:
    """Make a command as a manager."""
    return service.call("POST", "/v1/command-types", json={**RECIPE, **changes})


def send(service: ServiceUnderTest, **body: Any) -> httpx.Response:
    """Send one of that name as a manager."""
    return service.call(
        "POST", "/v1/devices/press-01/commands", json={"name": "set-recipe", **body}
    )


def rule(service: ServiceUnderTest, **rules: CommandRules) -> None:
    """Have acme's file say more of its commands."""
    tenant = replace(service.acme.tenant, command_rules=rules)
    service.ports.tenants.rows[tenant.issuer] = tenant


def wrong(answer: httpx.Response) -> dict[str, str]:
    """The members that were refused, each with its words."""
    assert answer.status_code == 400, answer.text
    return {one["field"]: one["problem"] for one in answer.json()["errors"]}


def test_a_manager_makes_a_command_and_it_can_be_sent(service: ServiceUnderTest) -> None:
    """Listed beside those of the file; sent with its own time, its reason recorded and audited."""
    made = make(service)
    assert (made.status_code, made.headers["Location"]) == (201, PATH)
    read = service.call("GET", PATH)
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])
    listed = service.call("GET", "/v1/command-types", as_="operators").json()["command_types"]
    assert {one["name"]: one["source"] for one in listed} == {
        **dict.fromkeys(("reboot", "run-diagnostics", "set-parameters", "stop"), "file"),
        "set-recipe": "api",
    }
    sent = send(service, arguments={"recipe": "brass"}, reason=" order 4711 ")
    assert sent.status_code == 202, sent.text
    [record] = service.ports.command_records.once.records.values()
    assert record.expires_at - record.created_at == 30_000
    assert record.reason == "order 4711"
    audited = service.ports.audit.trail[-1]
    assert audited.action == "SetParameters"
    assert audited.question is not None
    assert audited.question.context["reason"] == "order 4711"
    assert service.call("GET", sent.json()["url"]).json()["reason"] == "order 4711"


def test_arguments_that_do_not_fit_are_refused_by_name(service: ServiceUnderTest) -> None:
    """Each member that is wrong at once, a missing reason too; nothing is recorded or audited."""
    make(service)
    before = len(service.ports.audit.trail)
    answer = send(service, arguments={"speed": "fast", "odd": 1})
    assert wrong(answer) == {
        "arguments.recipe": "is missing",
        "arguments.speed": 'is not of type "integer"',
        "arguments.odd": "is no parameter of the command",
        "reason": "is missing: this command needs one",
    }
    assert "fast" not in answer.text
    good = {"arguments": {"recipe": "brass"}, "reason": "order 4711"}
    assert wrong(send(service, **good, timeout_seconds=601)) == {
        "timeout_seconds": "is at most 600 of this command"
    }
    assert wrong(send(service, name="set-recipes"))["name"].startswith("the tenant has no command")
    assert service.ports.command_records.once.records == {}
    assert len(service.ports.audit.trail) == before
    assert send(service, **good, timeout_seconds=600).status_code == 202


def test_a_declared_emergency_is_reason_enough(service: ServiceUnderTest) -> None:
    """Its reason stands for the command's own."""
    rule(service, stop=CommandRules(needs_reason=True))
    stop: dict[str, Any] = {"name": "stop"}
    assert wrong(send(service, **stop)).keys() == {"reason"}
    assert send(service, **stop, emergency={"reason": "smoke"}).status_code == 202
    assert service.ports.audit.trail[-1].emergency_reason == "smoke"


def test_rules_of_the_file_hold_and_are_not_changed_by_the_api(service: ServiceUnderTest) -> None:
    """The file counts first, also before what was made under the same name."""
    rule(service, reboot=CommandRules(parameters={"type": "object", "maxProperties": 0}))
    answer = send(service, name="reboot", arguments={"deep": True})
    assert wrong(answer).keys() == {"arguments"}
    assert send(service, name="reboot").status_code == 202
    assert make(service, name="reboot").status_code == 409
    body = {"action": "SetParameters"}
    assert service.call("PUT", "/v1/command-types/reboot", json=body).status_code == 409
    assert service.call("DELETE", "/v1/command-types/reboot").status_code == 409
    record = CommandTypeRecord(
        tenant="acme",
        name="reboot",
        action=Permission.SET_PARAMETERS,
        changed_by="somebody",
        changed_at=1,
        version=1,
    )
    service.ports.command_types.rows["acme", "reboot"] = record
    read = service.call("GET", "/v1/command-types/reboot")
    assert (read.json()["action"], "ETag" in read.headers) == ("OperateDevice", False)
    assert wrong(send(service, name="reboot", arguments={"deep": True})).keys() == {"arguments"}


def test_a_command_is_changed_as_it_was_read_or_not_at_all(service: ServiceUnderTest) -> None:
    """By ``If-Match``; made twice is 409, and what is not there is 404."""
    tag = make(service).headers["ETag"]
    assert make(service).status_code == 409
    body = {"action": "OperateDevice", "description": "loads a recipe"}
    changed = service.call("PUT", PATH, json=body, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["parameters"]) == (200, None)
    late = service.call("PUT", PATH, json=body, headers={"If-Match": tag})
    assert (late.status_code, late.headers["ETag"]) == (412, changed.headers["ETag"])
    assert service.call("DELETE", PATH, headers={"If-Match": tag}).status_code == 412
    assert service.call("DELETE", PATH).json()["description"] == "loads a recipe"
    for method in ("GET", "PUT", "DELETE"):
        answer = service.call(method, PATH, json=body if method == "PUT" else None)
        assert answer.status_code == 404, method
    assert wrong(send(service, arguments={"recipe": "brass"})).keys() == {"name"}


def test_a_name_is_bound_anew_by_who_may_handle_both_actions(service: ServiceUnderTest) -> None:
    """Asked of the action that it had, after its end too, and of the one that it shall have."""
    make(service, action="StopDevice")

    def asked() -> set[str | None]:
        return {
            record.subject
            for record in service.ports.audit.trail
            if record.action == "ManageCommandTypes"
        }

    service.ports.audit.trail.clear()
    assert service.call("PUT", PATH, json={"action": "SetParameters"}).status_code == 200
    both = {"set-recipe: StopDevice", "set-recipe: SetParameters"}
    assert asked() == both
    service.call("PUT", PATH, json={"action": "StopDevice"})
    service.call("DELETE", PATH)
    service.ports.audit.trail.clear()
    assert make(service).status_code == 201
    assert asked() == both


@pytest.mark.parametrize("group", ["process-engineers", "operators", "it-staff"])
def test_who_is_no_manager_declares_nothing(service: ServiceUnderTest, group: str) -> None:
    """Whatever action they would bind it to; the denial is audited and nothing is stored."""
    answer = service.call("POST", "/v1/command-types", as_=group, json=RECIPE)
    assert answer.status_code == 403
    assert service.ports.command_types.rows == {}
    assert service.ports.audit.trail[-1].action == "ManageCommandTypes"


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"name": "Set"}, "name"),
        ({"name": "upload-logs"}, "name"),
        ({"action": "ViewDevice"}, "action"),
        ({"action": "Operate"}, "action"),
        ({"description": "a\nb"}, "description"),
        ({"timeout_seconds": 601}, "timeout_seconds"),
        ({"parameters": {"type": "object", "requierd": []}}, "parameters.requierd"),
        ({"parameters": {}}, "parameters.type"),
    ],
)
def test_a_command_that_could_not_be_sent_is_refused(
    service: ServiceUnderTest, change: dict[str, Any], member: str
) -> None:
    """With the member that is wrong."""
    assert wrong(make(service, **change)).keys() == {member}
    assert service.ports.command_types.rows == {}


def test_a_tenant_makes_so_many_commands_and_no_more(service: ServiceUnderTest) -> None:
    """Ended ones counted; one of them can be made again."""
    for number in range(MAX_TYPES):
        record = CommandTypeRecord(
            tenant="acme",
            name=f"c{number:03}",
            action=Permission.OPERATE_DEVICE,
            changed_by="somebody",
            changed_at=1,
            ended=number == 0,
            version=1,
        )
        service.ports.command_types.rows["acme", record.name] = record
    assert make(service).status_code == 409
    assert make(service, name="c000").status_code == 201
    names: list[str] = []
    cursor: str | None = None
    while cursor is not None or not names:
        params = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = service.call("GET", "/v1/command-types", params=params).json()
        names += [one["name"] for one in page["command_types"]]
        cursor = page["cursor"]
    assert len(names) == len(set(names)) == MAX_TYPES + 4


def test_a_made_command_can_be_asked_about(service: ServiceUnderTest) -> None:
    """By its name, as one of the file."""
    make(service)
    body = {"checks": [{"command": "set-recipe", "device": "press-01"}]}
    for group, may in (("process-engineers", True), ("operators", False)):
        answer = service.call("POST", "/v1/permissions/check", as_=group, json=body)
        assert answer.json()["answers"][0]["allowed"] is may, answer.text
