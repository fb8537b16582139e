"""Agents act for people through an app client of their own: policies see it, and can forbid it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.service.api.test_campaigns import employ, work
from tests.service.api.test_wanted_versions import FILE, PACKAGE, URL, upload

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

REBOOT = ("POST", "/v1/devices/press-01/commands", {"name": "reboot"})
INVITE = ("POST", "/v1/people", {"email": "new@acme.test", "groups": ["operators"]})


def ask(
    service: ServiceUnderTest, client: str, asked: tuple[str, str, dict[str, Any]], **headers: str
) -> httpx.Response:
    """A manager's request, with a token that was given to an app client."""
    token = service.acme.id_token("boss", ["managers"], aud=client)
    method, path, body = asked
    return service.client.request(
        method, path, json=body, headers={"Authorization": f"Bearer {token}", **headers}
    )


def seen(service: ServiceUnderTest) -> Any:
    """What policies saw of the app in the last decision of the trail."""
    question = service.ports.audit.trail[-1].question
    assert question is not None
    return question.context.get("via")


def test_an_agent_may_less_than_its_person(service: ServiceUnderTest) -> None:
    """It sends a command as its person; whom it would give rights, a base policy refuses."""
    agent, person = service.acme.agent_client_id, service.acme.client_id
    assert ask(service, agent, REBOOT).status_code == 202
    assert seen(service) == "agent"
    refused = ask(service, agent, INVITE)
    assert (refused.status_code, refused.json()["policies"]) == (403, ["agents-approve-nothing"])
    assert seen(service) == "agent"
    assert ask(service, person, INVITE).status_code == 201


def test_only_the_token_says_who_asks(service: ServiceUnderTest) -> None:
    """Neither a header nor the body makes an agent a person, nor a person an agent."""
    agent = service.acme.agent_client_id
    for headers in ({"Via": "console"}, {"X-Via": "console"}, {"User-Agent": "console"}):
        assert ask(service, agent, INVITE, **headers).status_code == 403
    method, path, body = INVITE
    said = ask(service, agent, (method, path, {**body, "via": "console"}))
    assert (said.status_code, said.json()["type"]) == (
        400,
        "urn:cedarfleet:problem:invalid-request",
    )
    assert ask(service, service.acme.client_id, REBOOT, via="agent").status_code == 202
    assert seen(service) == "console"


def test_what_an_agent_may_is_told_beforehand(service: ServiceUnderTest) -> None:
    """The check answers an agent of its own rights, not of the person's."""
    checks = {"checks": [{"action": "ManagePeople"}, {"action": "ListDevices"}]}
    answers = {
        client: [
            one["allowed"]
            for one in ask(service, client, ("POST", "/v1/permissions/check", checks)).json()[
                "answers"
            ]
        ]
        for client in (service.acme.agent_client_id, service.acme.client_id)
    }
    assert answers[service.acme.agent_client_id][0] is False
    assert answers[service.acme.agent_client_id][1] is True


def test_a_campaign_stays_an_agents(service: ServiceUnderTest) -> None:
    """Its batches are decided, and audited, as what began it: the worker is no way around."""
    employ(service, "managers")
    token = service.acme.id_token("managers", ["managers"], aud=service.acme.agent_client_id)
    answer = service.client.post(
        "/v1/campaigns",
        json={"name": "reboot", "group": "line-press"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202, answer.text
    before = len(service.ports.audit.trail)
    work(service)
    decided = [one.question for one in service.ports.audit.trail[before:]]
    assert [one.context["via"] for one in decided if one is not None] == ["agent"] * 3


def test_a_wish_stays_an_agents(service: ServiceUnderTest) -> None:
    """A version that an agent wants for a group is brought as an agent's, whenever that is."""
    upload(service)
    for client, via in (
        (service.acme.agent_client_id, "agent"),
        (service.acme.client_id, "console"),
    ):
        answer = ask(service, client, ("PUT", URL, {"file": FILE}))
        assert answer.status_code < 300, answer.text
        wish = service.ports.wanted_versions.rows["acme", PACKAGE, "line-press"]
        assert wish.via == via
        service.ports.wanted_versions.rows.clear()
