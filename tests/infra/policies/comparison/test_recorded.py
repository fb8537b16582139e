"""Recorded decisions, asked of what is deployed and of the files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.cases.requests import all_requests
from infra.policies.comparison.recorded import NotReadableError, entries_of, recorded_difference
from service.cedar.binding import bind
from service.cedar.decision import Allowed
from service.cedar.evaluator import Evaluator
from service.cedar.request import RequestContext, TokenBearer

if TYPE_CHECKING:
    from service.cedar.policy_set import PolicySet
    from service.cedar.request import AuthorizationRequest

POLICIES = Path(__file__).parents[4] / "policies"
FLEET = ReferenceFleet.read(POLICIES)
CONTEXT = RequestContext(
    now=datetime(2026, 11, 22, 8, 0, tzinfo=UTC),
    reason="inspection",
    source_ip=IPv4Address("192.0.2.7"),
)
MANAGER = TokenBearer(
    subject="m", groups=("managers",), claims={"email": "m@acme.test", "custom:region": "eu"}
)
MACHINE = TokenBearer(subject="plc", scopes=("fleet/operate",), client_id="plc")
NO_STOP = 'forbid (principal, action == Fleet::Action::"StopDevice", resource);'


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    """The base policies."""
    loaded = load(POLICIES, TenantPolicies(tenant=TENANT_ID))
    return loaded.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)


def entry(number: int, request: AuthorizationRequest, *, allowed: bool) -> dict[str, Any]:
    """As the service writes it down and ``GET /v1/audit`` answers it, by way of JSON."""
    bearer = MACHINE if request.principal.id.endswith("|plc") else MANAGER
    claims: dict[str, Any] = {"sub": bearer.subject, "token_use": "id", **bearer.claims}
    claims["cognito:groups"] = list(bearer.groups)
    if bearer.scopes is not None:
        claims = {
            "sub": bearer.subject,
            "token_use": "access",
            "client_id": bearer.client_id,
            "scope": " ".join(bearer.scopes),
        }
    asked = request.json()
    context = {name: value for name, value in asked["context"].items() if name != "token"}
    own = {f"{POOL_ID}|{one}" for one in (bearer.subject, *bearer.groups)}
    return json.loads(
        json.dumps(
            {
                "id": f"entry-{number}",
                "at": "2026-11-22T08:00:00Z",
                "who": "p-1",
                "principal": request.principal.id,
                "action": request.action,
                "decision": "ALLOW" if allowed else "DENY",
                "policies": [],
                "claims": claims,
                "asked": {
                    "context": context,
                    "entities": [one.json() for one in request.entities if one.uid.id not in own],
                },
            }
        )
    )


def trail(policies: PolicySet) -> list[dict[str, Any]]:
    """Everything that a manager and a machine may ask of the reference fleet, as it was decided."""
    resources = FLEET.resources()
    evaluator, entries = Evaluator(policies), list[dict[str, Any]]()
    for bearer in (MANAGER, MACHINE):
        for _, _, request in all_requests(
            bearer, CONTEXT, resources, tenant=TENANT_ID, pool_id=POOL_ID
        ):
            allowed = isinstance(evaluator.evaluate(request).decision, Allowed)
            entries.append(entry(len(entries), request, allowed=allowed))
    return entries


def test_every_decision_comes_out_as_recorded(policies: PolicySet) -> None:
    """What was written down says all that policies saw: asked again, nothing is otherwise."""
    entries = trail(policies)
    assert {one["decision"] for one in entries} == {"ALLOW", "DENY"}
    found = recorded_difference(entries, policies, policies, tenant=TENANT_ID, pool_id=POOL_ID)
    assert (found.asked, found.drifted, found.unreadable) == (len(entries), 0, 0)
    assert found.flips == ()


def test_a_new_forbid_flips_what_it_meets(policies: PolicySet) -> None:
    """Each recorded stop that was allowed, and nothing else; the table names entry and policy."""
    changed = replace(
        policies,
        static={**policies.static, "no-stop": bind(NO_STOP, tenant=TENANT_ID, pool_id=POOL_ID)},
    )
    entries = trail(policies)
    found = recorded_difference(entries, policies, changed, tenant=TENANT_ID, pool_id=POOL_ID)
    stops = {
        one["id"] for one in entries if one["action"] == "StopDevice" and one["decision"] == "ALLOW"
    }
    assert stops
    assert {flip.found.entry_id for flip in found.flips} == stops
    table = found.table()
    assert table.startswith(f"{len(stops)} of {len(entries)} recorded decisions flip")
    assert "no-stop" in table
    assert POOL_ID not in table


def test_what_cannot_be_asked_again_is_counted(policies: PolicySet) -> None:
    """A forgotten person, an outcome of a device, another schema: told apart from a decision."""
    one, *_ = trail(policies)
    entries = [
        one | {"principal": None, "claims": None},
        one | {"asked": None, "kind": "outcome"},
        one | {"action": "NoSuchAction"},
        one | {"asked": {"context": {"now": {"__extn": {"fn": "no", "arg": ""}}}, "entities": []}},
    ]
    found = recorded_difference(entries, policies, policies, tenant=TENANT_ID, pool_id=POOL_ID)
    assert (found.asked, found.unreadable) == (0, len(entries))


def test_entries_come_as_page_list_or_lines(tmp_path: Path) -> None:
    """As the API, the client and `jq -c` write them; anything else is said to be none."""
    file, entries = tmp_path / "trail.json", [{"id": "1"}, {"id": "2"}]
    lines = "\n".join(json.dumps(one) for one in entries)
    for text in (json.dumps({"entries": entries, "cursor": None}), json.dumps(entries), lines):
        file.write_text(text)
        assert entries_of(file) == entries
    for text in ("", "no JSON", "[1]", '{"devices": []}', "7"):
        file.write_text(text)
        if text:
            with pytest.raises(NotReadableError):
                entries_of(file)
    with pytest.raises(NotReadableError):
        entries_of(tmp_path / "no-such")
