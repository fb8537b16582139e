"""The audit trail over HTTP: who may see it, what it says, and exports that prove themselves."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import wire

from service.domain.audit_verification import Verification
from service.domain.commands import ReportedState
from service.domain.downloads import DeliveryState, Outcome
from service.domain.work import Work, WorkKind
from service.operations.downloads import advance
from service.settings import JobSettings

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

REBOOT = {"name": "reboot"}


def send(service: ServiceUnderTest, *, as_: str = "managers", device: str = "press-01") -> Any:
    """Send a command."""
    return service.call("POST", f"/v1/devices/{device}/commands", as_=as_, json=REBOOT)


def chain(service: ServiceUnderTest) -> None:
    """Have the worker do what it was told of the trail."""
    worker = service.app.state.operations.worker(JobSettings())
    queue = service.ports.work_queue

    async def scenario() -> None:
        told = [work for _, work in queue.delayed if work.kind is WorkKind.CHAIN_AUDIT]
        queue.delayed = [one for one in queue.delayed if one[1] not in told]
        await queue.send(told)
        for received in await queue.receive():
            assert Work.decode(received.text).tenant == "acme"
            await worker.handle(received)

    asyncio.run(scenario())


def tell_outcomes(service: ServiceUnderTest) -> list[int]:
    """Have the worker look after commands; for how long it wants to wait then."""
    worker = service.app.state.operations.worker(JobSettings())
    queue = service.ports.work_queue

    async def scenario() -> list[int]:
        told, queue.delayed = queue.delayed, []
        await queue.send([work for _, work in told if work.kind is WorkKind.TELL_OUTCOMES])
        for received in await queue.receive():
            await worker.handle(received)
        return [seconds for seconds, work in queue.delayed if work.kind is WorkKind.TELL_OUTCOMES]

    return asyncio.run(scenario())


def look_at(service: ServiceUnderTest, download: str) -> None:
    """Have the worker look at a download, and write down what it finds; no job is made."""
    worker = service.app.state.operations.worker(JobSettings())
    queue = service.ports.work_queue

    async def scenario() -> None:
        await queue.send([advance(service.acme.tenant, download)])
        while queue.waiting:
            for received in await queue.receive():
                if Work.decode(received.text).kind is not WorkKind.MAKE_JOB:
                    await worker.handle(received)

    asyncio.run(scenario())


def entries(service: ServiceUnderTest, **wanted: Any) -> list[dict[str, Any]]:
    """The page of these filters."""
    answer = service.call("GET", "/v1/audit", params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_the_trail_says_who_did_what_by_which_policy(service: ServiceUnderTest) -> None:
    """Decision, its policies, the command that came of it, and what policies saw of the device."""
    command = send(service).json()["id"]
    [entry] = entries(service, command=command)
    assert (entry["action"], entry["decision"]) == ("OperateDevice", "ALLOW")
    assert entry["policies"] == ["managers-everything"]
    assert entry["resource"] == 'Fleet::Device::"press-01"'
    assert entry["about"] == {"command": command}
    assert entry["who"].startswith("p-")
    assert entry["principal"].startswith("eu-central-1_acme|")
    assert entry["claims"]["cognito:groups"] == ["managers"]
    device = next(one for one in entry["asked"]["entities"] if one["uid"]["id"] == "press-01")
    assert device["attrs"]["criticality"] == "high"
    assert entry["asked"]["context"]["command"] == "reboot"


def test_the_outcome_on_the_device_follows_its_decision(service: ServiceUnderTest) -> None:
    """Once the device has told it; until then the worker looks again, ever more rarely."""
    command = send(service).json()["id"]
    assert send(service, as_="operators").status_code == 403
    chain(service)
    assert [tell_outcomes(service) for _ in range(3)] == [[20], [40], [80]]
    [decision] = entries(service, command=command)
    service.ports.command_records.states[command] = [
        ReportedState(sequence=1, state=wire.CommandState.SUCCEEDED)
    ]
    assert tell_outcomes(service) == []
    outcome, again = entries(service, command=command)
    assert (outcome["kind"], again) == ("outcome", decision)
    assert outcome["about"] == {"command": command, "decision": decision["id"]}
    assert outcome["outcome"] == {"state": "succeeded", "told_by": "device", "final": True}
    assert outcome["who"] == "device press-01"


@pytest.mark.parametrize("planned", [False, True])
def test_the_end_of_a_download_follows_its_decision(
    service: ServiceUnderTest, *, planned: bool
) -> None:
    """Device by device, found by the download's id and by the device; an export proves it."""
    body = {"artifact": "recipes/steel.json", "group": "line-press"}
    if planned:
        whole = {**body, "abort_percent": 100}
        body = {"plan": service.call("POST", "/v1/downloads/plan", json=whole).json()["id"]}
    download = service.call("POST", "/v1/downloads", json=body).json()["id"]
    stored = service.ports.download_records.once.records["acme", download]
    for device, state in (("press-01", "succeeded"), ("press-03", "failed")):
        said = Outcome(state=DeliveryState(state), at=1_790_000_000_000, reason="a secret word")
        service.ports.deliveries.end(stored, device, said)
    look_at(service, download)
    outcome, decision = entries(service, command=download)
    assert (decision["action"], decision["decision"]) == ("DownloadFile", "ALLOW")
    assert (outcome["kind"], outcome["subject"]) == ("outcome", "recipes/steel.json")
    assert outcome["about"] == {"download": download, "decision": decision["id"]}
    assert outcome["outcome"]["devices"] == {
        "press-01": {"state": "succeeded", "at": 1_790_000_000_000, "told_by": "device"},
        "press-03": {"state": "failed", "at": 1_790_000_000_000, "told_by": "device"},
    }
    assert [one["id"] for one in entries(service, device="press-03")] == [outcome["id"]]
    assert entries(service, device="press-02") == []
    chain(service)
    export = service.call("GET", "/v1/audit/export").text
    found = Verification().verify([export.splitlines(keepends=True)])
    assert (found.problems, found.ends) == ([], 2)
    assert "a secret word" not in export
    changed = export.replace('"state":"failed"', '"state":"succeeded"')
    assert Verification().verify([changed.splitlines(keepends=True)]).problems != []


def test_filters_show_what_is_asked_for(service: ServiceUnderTest) -> None:
    """By decision, device, action and person, each alone and together."""
    send(service)
    send(service, device="press-02")
    denied = send(service, as_="operators")
    assert denied.status_code == 403
    [refused] = entries(service, decision="DENY")
    assert (refused["reason"], refused["policies"]) == ("forbidden", ["operators-view-only"])
    assert {one["who"] for one in entries(service, who=refused["who"])} == {refused["who"]}
    subject = refused["principal"].rpartition("|")[2]
    assert [one["id"] for one in entries(service, who=subject)] == [refused["id"]]
    on_it = entries(service, device="press-02", action="OperateDevice")
    assert [one["resource"] for one in on_it] == ['Fleet::Device::"press-02"']
    assert entries(service, until="2026-01-01T00:00:00Z") == []
    answer = service.call(
        "GET",
        "/v1/audit",
        params={"since": "2027-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    )
    assert answer.status_code == 400


def test_a_change_stands_there_as_it_was_and_would_be(service: ServiceUnderTest) -> None:
    """Of a device's attributes and of a person's groups; a person named is a pseudonym."""
    service.call("PATCH", "/v1/devices/press-01", json={"criticality": "medium"})
    entry = entries(service, action="ConfigureDevice")[0]
    assert entry["change"] == {
        "before": {"criticality": "high"},
        "after": {"criticality": "medium"},
    }
    invited = service.call(
        "POST", "/v1/people", json={"email": "kim@example.org", "groups": ["operators"]}
    ).json()
    [entry] = entries(service, action="ManagePeople")
    assert entry["change"]["after"] == {"groups": ["operators"]}
    assert entry["about"]["person"].startswith("p-")
    service.call("GET", f"/v1/people/{invited['id']}")
    kept = "".join(one.text for one in service.ports.audit.kept["acme"].values())
    assert "kim@example.org" not in kept
    assert invited["id"] not in kept


def test_pages_follow_one_another_to_the_end(service: ServiceUnderTest) -> None:
    """Each entry once, the newest first; a cursor that is none of ours is refused."""
    for _ in range(5):
        send(service)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = service.call(
            "GET", "/v1/audit", params={"limit": 2, "action": "OperateDevice", **cursor}
        ).json()
        seen += [one["id"] for one in page["entries"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    made = [one.audit_id for one in service.ports.audit.trail if one.action == "OperateDevice"]
    assert seen == sorted(made, reverse=True)
    assert service.call("GET", "/v1/audit", params={"cursor": "x"}).status_code == 400


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/chain", "/v1/audit/export"])
def test_the_trail_is_for_whom_a_policy_lets_see_it(service: ServiceUnderTest, path: str) -> None:
    """Nobody else; that somebody wanted to see it stands there too."""
    assert service.call("GET", path, as_="operators").status_code == 403
    assert service.call("GET", path).status_code == 200
    looked = entries(service, action="ViewAudit")
    assert [one["decision"] for one in looked[1:]] == ["ALLOW", "DENY"]


def test_an_export_proves_itself_and_holds_nobodys_name(service: ServiceUnderTest) -> None:
    """What the worker has chained, with its signatures; the chain says whose key that is."""
    send(service)
    send(service, as_="operators")
    service.call("GET", "/v1/audit/chain")
    state = service.call("GET", "/v1/audit/chain").json()
    assert (state["links"], state["signed"], state["open_entries"]) == (0, None, 4)
    chain(service)
    state = service.call("GET", "/v1/audit/chain").json()
    assert (state["links"], state["entries"], state["signed"]["number"]) == (1, 4, 1)
    answer = service.call("GET", "/v1/audit/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = answer.text.splitlines(keepends=True)
    found = Verification(trusted={state["signed"]["key"]}, heads={1: state["head"]}).verify([lines])
    assert (found.problems, found.entries) == ([], 4)
    people = {record.person for record in service.ports.audit.trail}
    assert not [one for one in people if one and one in answer.text]
    assert json.loads(lines[-1])["body"]["next"] is None


def test_a_person_who_is_forgotten_is_nobody(service: ServiceUnderTest) -> None:
    """The key is erased, and with it name, claims and address; entries and chain stay."""
    denied = send(service, as_="operators")
    assert denied.status_code == 403
    [before] = entries(service, decision="DENY")
    chain(service)
    subject = before["principal"].rpartition("|")[2]
    assert service.call("DELETE", f"/v1/people/{subject}/pseudonym").status_code == 204
    [after] = entries(service, decision="DENY")
    assert (after["who"], after["digest"]) == (before["who"], before["digest"])
    assert (after["principal"], after["claims"], after["source_ip"]) == (None, None, None)
    assert entries(service, who=subject) == []
    found = Verification().verify(
        [service.call("GET", "/v1/audit/export").text.splitlines(keepends=True)]
    )
    assert found.problems == []
    assert service.call("DELETE", f"/v1/people/{'0' * 8}/pseudonym").status_code == 404
    refused = service.call("DELETE", f"/v1/people/{subject}/pseudonym", as_="operators")
    assert refused.status_code in {403, 404}
