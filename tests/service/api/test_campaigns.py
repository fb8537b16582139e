"""Campaigns over HTTP: a command to many devices, watched, and taken back."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.policy_set import PolicySet
from service.domain.devices import Device
from service.domain.people import Person
from service.domain.work import Work, WorkKind
from service.operations.operations import Operations
from service.settings import JobSettings, TokenSettings
from tests.service.api.test_permissions import prepared
from tests.service.conftest import POLICIES

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

URL = "/v1/campaigns"
PRESSES = ["press-01", "press-02", "press-03"]


def start(service: ServiceUnderTest, as_: str = "managers", **body: Any) -> httpx.Response:
    """Begin a campaign."""
    headers = {"Idempotency-Key": key} if (key := body.pop("key", None)) else {}
    return service.call("POST", URL, as_=as_, json={"name": "reboot"} | body, headers=headers)


def planned(service: ServiceUnderTest, answer: httpx.Response) -> list[str]:
    """The devices that a campaign is for."""
    assert answer.status_code == 202, answer.text
    id_ = answer.json()["id"]
    batches = service.ports.campaign_batches.kept.items()
    return [one.id for key, batch in sorted(batches) if key[1] == id_ for one in batch.devices]


def employ(service: ServiceUnderTest, *names: str) -> None:
    """Have the user pool know these people, each in the group of the name."""
    for name in names:
        subject = service.acme.claims(name)["sub"]
        service.ports.people.add(
            "acme",
            Person(
                id=name,
                subject=subject,
                email=f"{name}@acme.test",
                state="active",
                enabled=True,
                groups=(name,),
            ),
        )


def work(service: ServiceUnderTest) -> None:
    """Have the worker do what waits of campaigns."""
    worker = service.app.state.operations.worker(JobSettings())

    async def scenario() -> None:
        queue = service.ports.work_queue
        while queue.waiting:
            for received in await queue.receive():
                if Work.decode(received.text).kind is WorkKind.ADVANCE_CAMPAIGN:
                    await worker.handle(received)

    asyncio.run(scenario())


def test_a_group_is_sent_a_command(service: ServiceUnderTest) -> None:
    """202 with a place to watch; once the worker was there each device has its command."""
    employ(service, "managers")
    answer = start(service, group="line-press", reason="new firmware")
    assert planned(service, answer) == PRESSES
    assert answer.json()["state"] == "created"
    assert answer.headers["Location"] == answer.json()["url"]
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["counts"], seen["devices"], seen["reason"]) == ({"waiting": 3}, 3, "new firmware")
    [audited] = service.ports.audit.trail
    assert (audited.action, audited.subject) == ("OperateDevice", "reboot")
    assert audited.about == {"campaign": seen["id"]}
    work(service)
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["counts"]) == ("sent", {"published": 3})
    devices = service.call("GET", f"{answer.headers['Location']}/devices").json()["devices"]
    assert [one["device"] for one in devices] == PRESSES
    command = service.call("GET", f"/v1/commands/{devices[0]['command']}").json()
    assert (command["campaign"], command["reason"]) == (seen["id"], "new firmware")
    [listed] = service.call("GET", URL).json()["campaigns"]
    assert listed == seen
    about = [one.about for one in service.ports.audit.trail[1:]]
    assert about == [{"campaign": seen["id"], "command": one["command"]} for one in devices]


def test_devices_are_named_in_three_ways(service: ServiceUnderTest) -> None:
    """A group with those in it, a filter as of the list of devices, ids; exactly one of these."""
    service.ports.devices.add(Device(tenant="acme", id="cell-1", groups=("cell-4",)))
    assert planned(service, start(service, group="zone-hall-1")) == ["cell-1"]
    found = start(service, filter={"kind": "press", "connected": True})
    assert planned(service, found) == ["press-01"]
    assert planned(service, start(service, devices=["press-03", "cell-1"])) == [
        "cell-1",
        "press-03",
    ]
    bodies: tuple[dict[str, Any], ...]
    bodies = ({}, {"group": "all", "devices": ["cell-1"]}, {"devices": ["cell-1"] * 2})
    for body in bodies:
        assert start(service, **body).status_code == 400
    bodies = ({"group": "ward"}, {"devices": ["pump-01"]}, {"devices": ["nobody"]})
    for body in bodies:
        assert start(service, **body).status_code == 404
    for wrong in ({"kidn": "press"}, {"criticality": "hgih"}, {"group": "line-prss"}):
        assert start(service, filter=wrong).status_code == 400
    assert start(service, group="line-pump").status_code == 409


def test_more_devices_than_a_campaign_takes_are_told(service: ServiceUnderTest) -> None:
    """409, and what would be right; 10,000 are planned."""
    for number in range(10_000):
        service.ports.devices.add(Device(tenant="acme", id=f"p{number:05}", groups=("line-pump",)))
    assert len(planned(service, start(service, group="line-pump"))) == 10_000
    service.ports.devices.add(Device(tenant="acme", id="one-more", groups=("line-pump",)))
    answer = start(service, group="line-pump")
    assert answer.status_code == 409
    assert "more than 10000 devices" in answer.json()["detail"]


def test_who_may_send_to_none_begins_none(service: ServiceUnderTest) -> None:
    """403 with the policy, audited; nothing is planned; a machine of the file is told who may."""
    answer = start(service, as_="operators", group="line-press")
    assert (answer.status_code, answer.json()["policies"]) == (403, ["operators-view-only"])
    [audited] = service.ports.audit.trail
    assert audited.decision.policies == ("operators-view-only",)
    token = service.acme.access_token("mes", "fleet/operate")
    answer = as_machine(service, token, "POST", URL, json={"name": "reboot", "group": "all"})
    assert answer.status_code == 409
    assert "a machine of the tenant's file cannot be" in answer.json()["detail"]
    assert service.ports.campaign_batches.kept == {}


def as_machine(
    service: ServiceUnderTest, token: str, method: str, path: str, **request: Any
) -> httpx.Response:
    """One request of a machine."""
    headers = {"Authorization": f"Bearer {token}"}
    return service.client.request(method, path, headers=headers, **request)


def made_machine(service: ServiceUnderTest, scope: str) -> str:
    """A token of a machine that was made just now and may view and operate."""
    body = {"id": "mes", "scopes": ["view", "operate"]}
    made = service.call("POST", "/v1/machines", json=body)
    assert made.status_code == 201, made.text
    client = made.json()["machine"]["client_id"]
    return service.acme.access_token("m", scope, sub=client, client_id=client)


def test_a_machine_begins_a_campaign(service: ServiceUnderTest) -> None:
    """By its scopes: sent by the worker, watched and canceled by the machine, which began it."""
    token = made_machine(service, "fleet/view fleet/operate")
    body = {"name": "reboot", "filter": {"group": "line-press"}, "timeout_seconds": 600}
    answer = as_machine(service, token, "POST", URL, json=body)
    assert planned(service, answer) == PRESSES
    url = answer.headers["Location"]
    [record] = service.ports.campaign_records.once.records.values()
    assert (record.machine, record.scopes) == ("mes", ("fleet/view", "fleet/operate"))
    work(service)
    seen = as_machine(service, token, "GET", url).json()
    assert (seen["state"], seen["counts"]) == ("sent", {"published": 3})
    devices = as_machine(service, token, "GET", f"{url}/devices").json()["devices"]
    assert [one["policies"] for one in devices] == [["machines-operate"]] * 3
    canceled = as_machine(service, token, "POST", f"{url}/cancel", json={})
    assert (canceled.status_code, canceled.json()["state"]) == (202, "canceling")
    seen = service.call("GET", url).json()
    assert seen["canceled_by"] == seen["created_by"] == record.created_by


def test_a_machine_that_may_not_begins_none(service: ServiceUnderTest) -> None:
    """A token without the scope is refused at once, though the machine has it."""
    token = made_machine(service, "fleet/view")
    answer = as_machine(service, token, "POST", URL, json={"name": "reboot", "group": "all"})
    assert answer.status_code == 403
    assert service.ports.campaign_batches.kept == {}


def test_a_revoked_machines_campaign_stops(service: ServiceUnderTest) -> None:
    """Revoked before the worker came: nothing is sent, and whoever looks is told why."""
    token = made_machine(service, "fleet/view fleet/operate")
    body = {"name": "reboot", "group": "line-press"}
    url = as_machine(service, token, "POST", URL, json=body).headers["Location"]
    assert service.call("DELETE", "/v1/machines/mes").status_code == 200
    work(service)
    seen = service.call("GET", url).json()
    assert (seen["state"], seen["counts"]) == ("stopped", {"canceled": 3})
    assert seen["why"] == "the machine that asked for it is revoked"
    assert service.ports.broker.published == []


def test_decisions_of_campaigns_can_be_replayed(service: ServiceUnderTest) -> None:
    """A machine's and a person's say all that was asked: a forbid of theirs turns each."""
    prepared(service)
    employ(service, "managers")
    token = made_machine(service, "fleet/operate")
    body = {"name": "reboot", "group": "line-press"}
    assert as_machine(service, token, "POST", URL, json=body).status_code == 202
    assert start(service, group="line-press").status_code == 202
    work(service)
    assert len(service.ports.broker.published) == 6
    forbid = 'forbid (principal, action == Fleet::Action::"OperateDevice", resource);'
    asked = {"policies": {"added": {"no": forbid}}, "most": 200}
    found = service.call("POST", "/v1/permissions/replay", json=asked).json()
    assert (found["unreadable"], found["drifted"]) == (0, 0)
    # Of each campaign one decision at its start, and three of its batch.
    assert Counter(tuple(one["now"]["policies"]) for one in found["flips"]) == {
        ("machines-operate",): 4,
        ("managers-everything",): 4,
    }


def test_a_command_is_checked_as_a_single_one(service: ServiceUnderTest) -> None:
    """Unknown, too long a wait, arguments and reason of its type: 400 before anything is done."""
    rules = {"parameters": {"type": "object", "required": ["recipe"]}, "needs_reason": True}
    made = {"name": "set-recipe", "action": "SetParameters", **rules}
    assert service.call("POST", "/v1/command-types", json=made).status_code == 201
    answer = start(service, name="set-recipe", group="line-press")
    assert answer.status_code == 400
    assert {one["field"] for one in answer.json()["errors"]} == {
        "arguments.recipe",
        "reason",
    }
    assert start(service, name="dance", group="line-press").status_code == 400
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"x": deep}
    assert start(service, arguments=deep, group="line-press").status_code == 400
    assert service.ports.campaign_batches.kept == {}


def test_a_repeated_request_is_one_campaign(service: ServiceUnderTest) -> None:
    """The same key answers the same campaign, and another request with it is 422."""
    employ(service, "managers")
    first = start(service, group="line-press", key="k")
    again = start(service, group="line-press", key="k")
    assert first.json()["id"] == again.json()["id"]
    work(service)
    again = start(service, group="line-press", key="k")
    assert (again.json()["id"], again.json()["state"]) == (first.json()["id"], "sent")
    work(service)
    assert len(service.ports.broker.published) == 3
    assert start(service, group="all", key="k").status_code == 422


def test_a_queue_that_does_not_answer_is_told(service: ServiceUnderTest) -> None:
    """503; repeated under its key it goes on, and it is one campaign."""
    employ(service, "managers")
    service.ports.work_queue.available = False
    assert start(service, group="line-press", key="k").status_code == 503
    service.ports.work_queue.available = True
    answer = start(service, group="line-press", key="k")
    assert len(service.ports.campaign_records.once.records) == 1
    work(service)
    assert service.call("GET", answer.headers["Location"]).json()["counts"] == {"published": 3}


def test_a_cancel_takes_back_what_has_not_begun(service: ServiceUnderTest) -> None:
    """Asked twice it is the same; what was sent is taken back, and what is over is 409."""
    employ(service, "managers")
    answer = start(service, group="line-press", timeout_seconds=600)
    work(service)
    url = answer.headers["Location"]
    for _ in range(2):
        canceled = service.call("POST", f"{url}/cancel", json={})
        assert (canceled.status_code, canceled.json()["state"]) == (202, "canceling")
    work(service)
    assert service.call("GET", url).json()["state"] == "canceled"
    assert {one.device for one in service.ports.broker.canceled} == set(PRESSES)
    fresh = start(service, group="line-press").headers["Location"]
    assert service.call("POST", f"{fresh}/cancel", json={}).status_code == 202
    seen = service.call("GET", fresh).json()
    assert (seen["counts"], seen["state"]) == ({"canceled": 3}, "canceled")
    devices = service.call("GET", f"{fresh}/devices?state=canceled").json()["devices"]
    assert service.call("GET", f"{fresh}/devices?state=published").json()["devices"] == []
    for path in (URL, f"{fresh}/devices"):
        assert service.call("GET", path, params={"state": "dancing"}).status_code == 400
    assert {(one["state"], one["is_final"]) for one in devices} == {("canceled", True)}
    assert len(devices) == 3


def test_who_may_send_to_each_may_cancel_it(service: ServiceUnderTest) -> None:
    """Another manager may; an operator may not, and is told by which policy."""
    url = start(service, group="line-press").headers["Location"]
    refused = service.call("POST", f"{url}/cancel", as_="operators", json={})
    assert (refused.status_code, refused.json()["policies"]) == (403, ["operators-view-only"])
    assert service.call("GET", url).json()["state"] == "created"
    token = service.acme.id_token("another", ["managers"])
    headers = {"Authorization": f"Bearer {token}"}
    assert service.client.post(f"{url}/cancel", json={}, headers=headers).status_code == 202
    seen = service.call("GET", url).json()
    assert seen["canceled_by"].endswith(service.acme.claims("another")["sub"])


def test_who_may_not_list_sees_their_own(service: ServiceUnderTest) -> None:
    """A campaign of somebody else's is 404 for them, as one that there is not."""
    url = start(service, group="line-press").headers["Location"]
    for path in (url, f"{url}/devices", f"{URL}/01JD0000000000000000000000"):
        assert service.call("GET", path, as_="nobody").status_code == 404
    assert service.call("GET", URL, as_="nobody").json()["campaigns"] == []
    assert service.call("GET", URL, as_="operators").json()["campaigns"] != []


def decide_also_by(service: ServiceUnderTest, policies: dict[str, str]) -> None:
    """Have acme's policies be these beside the base."""
    static = {
        file.stem: file.read_text(encoding="utf-8")
        for file in (POLICIES / "static").glob("*.cedar")
    }
    own = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(encoding="utf-8"),
        static=static | policies,
        templates={},
        links=(),
    )
    ports = replace(service.ports, authorizer=CedarAuthorizer(POLICIES, {"acme": own}))
    service.app.state.operations = Operations(ports, TokenSettings())


def test_who_may_send_to_some_cancels_not_all(service: ServiceUnderTest) -> None:
    """Of others' campaigns: 403 where one device is not theirs, and 202 where each is."""
    helpers = """permit (principal in Fleet::Group::"helpers",
action == Fleet::Action::"{}", resource{});"""
    decide_also_by(
        service,
        {
            "helpers-list": helpers.format("ListDevices", ""),
            "helpers-reboot": helpers.format("OperateDevice", ' == Fleet::Device::"press-01"'),
        },
    )
    bodies: tuple[tuple[dict[str, Any], int], ...]
    bodies = (({"group": "line-press"}, 403), ({"devices": ["press-01"]}, 202))
    for body, status in bodies:
        url = start(service, **body).headers["Location"]
        answer = service.call("POST", f"{url}/cancel", as_="helpers", json={})
        assert answer.status_code == status, answer.text
        assert service.call("GET", url).json()["state"] == (
            "canceled" if status == 202 else "created"
        )


def test_a_device_is_shown_to_who_may_view_its_commands(service: ServiceUnderTest) -> None:
    """Whoever sees the campaign sees its counts, and of its devices those that the policies let."""
    employ(service, "managers")
    secret = """@id("no-looking")
forbid (principal, action == Fleet::Action::"ViewCommand", resource == Fleet::Device::"press-02");
"""
    decide_also_by(service, {"no-looking": secret})
    url = start(service, group="line-press").headers["Location"]
    work(service)
    assert service.call("GET", url).json()["counts"] == {"published": 3}
    devices = service.call("GET", f"{url}/devices").json()["devices"]
    assert [one["device"] for one in devices] == ["press-01", "press-03"]


def test_campaigns_are_listed_by_filters(service: ServiceUnderTest) -> None:
    """The newest first, by command, group and who began them, page by page."""
    for group in ("line-press", "all", "line-press"):
        start(service, group=group)
    start(service, name="stop", devices=["press-01"])

    def listed(**params: Any) -> list[tuple[str, str | None]]:
        found = service.call("GET", URL, params=params).json()["campaigns"]
        return [(one["name"], one["group"]) for one in found]

    assert listed(group="line-press") == [("reboot", "line-press")] * 2
    assert listed(name="stop") == [("stop", None)]
    assert listed(created_by="somebody") == []
    assert (len(listed(state="created")), listed(state="canceled")) == (4, [])
    page = service.call("GET", URL, params={"limit": 3}).json()
    rest = service.call("GET", URL, params={"limit": 3, "cursor": page["cursor"]}).json()
    assert [len(page["campaigns"]), len(rest["campaigns"]), rest["cursor"]] == [3, 1, None]
    assert service.call("GET", URL, params={"cursor": "x"}).status_code == 400


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_devices_of_a_campaign_come_in_pages(service: ServiceUnderTest, limit: int) -> None:
    """Each once, over the edges of batches."""
    for number in range(30):
        service.ports.devices.add(Device(tenant="acme", id=f"p{number:02}", groups=("line-pump",)))
    url = start(service, group="line-pump").headers["Location"]
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        page = service.call("GET", f"{url}/devices", params=params).json()
        found += [one["device"] for one in page["devices"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == [f"p{number:02}" for number in range(30)]
