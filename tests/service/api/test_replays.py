"""Proposed policies run against recorded decisions: what would flip, for who may read the trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.service.api.test_permissions import prepared

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/permissions/replay"
NO_REBOOT = """forbid (
    principal, action == Fleet::Action::"OperateDevice", resource is Fleet::Device
) when { resource has criticality && resource.criticality == "high" };"""
STOPPING = """permit (principal, action == Fleet::Action::"StopDevice", resource)
    when { principal in Fleet::Group::"operators" };"""


def replay(
    service: ServiceUnderTest, as_: str = "managers", most: int = 200, **policies: Any
) -> dict[str, Any]:
    """Ask what would flip."""
    answer = service.call("POST", URL, as_=as_, json={"policies": policies, "most": most})
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(service: ServiceUnderTest, as_: str, name: str, **body: Any) -> int:
    """Send a command; gives the status."""
    body = {"name": name, **body}
    return service.call("POST", "/v1/devices/press-01/commands", as_=as_, json=body).status_code


def test_a_forbid_turns_what_was_allowed(service: ServiceUnderTest) -> None:
    """The recorded reboot would be refused, by the proposal; what is refused anyway stays so."""
    prepared(service)
    assert send(service, "managers", "reboot") == 202
    assert send(service, "operators", "reboot") == 403
    found = replay(service, added={"no-reboot": NO_REBOOT})
    [flip] = found["flips"]
    assert (flip["action"], flip["resource"]) == ("OperateDevice", 'Fleet::Device::"press-01"')
    assert flip["principal"] == service.call("GET", "/v1/me").json()["principal"]
    assert (flip["recorded"], flip["now"]["allowed"], flip["then"]["allowed"]) == (
        True,
        True,
        False,
    )
    assert flip["then"]["policies"] == ["no-reboot"]
    trail = service.call("GET", "/v1/audit", params={"action": "OperateDevice"}).json()["entries"]
    assert flip["id"] in {one["id"] for one in trail}
    assert (found["drifted"], found["unreadable"]) == (0, 0)
    # Nothing of it is stored: the same is decided as before.
    assert send(service, "managers", "reboot") == 202


def test_a_permit_turns_what_was_refused(service: ServiceUnderTest) -> None:
    """A permit alone is held back by a forbid of the base; without that one the refusals turn."""
    prepared(service)
    assert send(service, "operators", "stop") == 403
    assert replay(service, added={"stopping": STOPPING})["flips"] == []
    found = replay(service, added={"stopping": STOPPING}, without=["operators-view-only"])
    assert [(one["action"], one["then"]["policies"]) for one in found["flips"]] == [
        ("StopDevice", ["stopping"])
    ]


def test_what_policies_saw_is_what_they_are_asked(service: ServiceUnderTest) -> None:
    """Reasons, an emergency, a file, an address and a machine's token: all decided as recorded."""
    prepared(service)
    assert send(service, "emergency-responders", "stop", emergency={"reason": "fire"}) == 202
    assert send(service, "emergency-responders", "stop") == 403
    assert send(service, "managers", "reboot", reason="after the update") == 202
    for name in ("firmware/press-2.bin", "recipes/steel.json"):
        body = {"device": "press-01", "artifact": name}
        assert service.call("POST", "/v1/downloads", json=body).status_code == 202
    tags = {"tags": {"building": "7"}}
    assert service.call("PATCH", "/v1/devices/press-01/tags", json=tags).status_code == 200
    for scope, status in (("fleet/operate", 202), ("fleet/view", 403)):
        answer = service.client.post(
            "/v1/devices/press-01/commands",
            json={"name": "reboot"},
            headers={"Authorization": f"Bearer {service.acme.access_token('plc', scope)}"},
        )
        assert answer.status_code == status, answer.text
    found = replay(service)
    assert found["asked"] >= 8
    assert (found["drifted"], found["unreadable"], found["flips"]) == (0, 0, [])
    # The reason was sealed with the person: policies see it again.
    why = """forbid (principal, action == Fleet::Action::"OperateDevice", resource)
        when { context has reason && context.reason == "after the update" };"""
    [flip] = replay(service, added={"not-for-that": why})["flips"]
    assert flip["action"] == "OperateDevice"
    scopes = """forbid (principal, action == Fleet::Action::"OperateDevice", resource)
        when { context has token && context.token has scope &&
               context.token.scope.contains("fleet/operate") };"""
    [flip] = replay(service, added={"no-machine": scopes})["flips"]
    assert flip["principal"].endswith("|acmeclient")


def test_a_change_since_is_no_flip_of_the_proposal(service: ServiceUnderTest) -> None:
    """What today's policies decide otherwise than was recorded is counted apart."""
    prepared(service)
    assert send(service, "managers", "reboot") == 202
    prepared(service, **{"no-reboot": NO_REBOOT})
    found = replay(service)
    assert (found["drifted"], found["flips"]) == (1, [])


def test_whom_the_tenant_forgot_is_not_asked_of(service: ServiceUnderTest) -> None:
    """With the person's key what they were asked is gone; the decision is counted, and not told."""
    prepared(service)
    assert send(service, "managers", "reboot") == 202
    found = replay(service, added={"no-reboot": NO_REBOOT})
    assert len(found["flips"]) == 1
    subject = found["flips"][0]["principal"].rpartition("|")[2]
    assert service.call("DELETE", f"/v1/people/{subject}/pseudonym").status_code == 204
    found = replay(service, added={"no-reboot": NO_REBOOT})
    assert (found["flips"], found["unreadable"] > 0) == ([], True)


@pytest.mark.parametrize("group", ["operators", "it-staff", "operations-managers"])
def test_who_may_not_read_the_trail_is_refused(service: ServiceUnderTest, group: str) -> None:
    """Whatever is proposed, nothing of the trail is told, not even a slip of the proposal."""
    prepared(service)
    body = {"policies": {"added": {"slip": "permit (principal"}}}
    answer = service.call("POST", URL, as_=group, json=body)
    assert (answer.status_code, answer.json()["action"]) == (403, "ViewAudit")


def test_another_tenants_decisions_are_not_replayed(service: ServiceUnderTest) -> None:
    """Globex decided something; acme is asked of its own trail alone."""
    prepared(service)
    token = service.globex.id_token("managers", ["managers"])
    answer = service.client.post(
        "/v1/devices/pump-01/commands",
        json={"name": "reboot"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202
    found = replay(service, added={"no-reboot": NO_REBOOT.replace("high", "low")})
    assert {one["resource"] for one in found["flips"]} == set()
    assert found["asked"] == 1  # that acme's manager reads the trail


def test_a_slip_of_the_proposal_is_told(service: ServiceUnderTest) -> None:
    """A proposal that the schema does not know is 400, with what is wrong."""
    prepared(service)
    for text in (
        "permit (principal",
        'permit (principal, action == Fleet::Action::"No", resource);',
    ):
        body = {"policies": {"added": {"slip": text}}}
        answer = service.call("POST", URL, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "policies.added")


def test_without_a_good_copy_nothing_is_told(service: ServiceUnderTest) -> None:
    """Nobody is told what would flip by policies of a while ago: 503."""
    answer = service.call("POST", URL, json={"policies": {}})
    assert answer.status_code == 503
