"""A grant in a real store: it counts for reads and changes, survives an `up`, and ends in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.people import add_person
from infra.policies.store.deployed import granted, read
from service.cedar.granted import is_granted
from tests.service.adapters.on_the_embedded_cloud.test_policy_copies import await_copy, decided
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PRESS = "/v1/devices/press-02"
GROUP = "technicians"
DIAGNOSE = {"name": "run-diagnostics"}


def reads(deployed: DeployedService) -> int:
    """How the technician's read is answered."""
    return deployed.call("GET", PRESS, group=GROUP).status_code


def changes(deployed: DeployedService) -> int:
    """The same of a change."""
    return deployed.call("POST", f"{PRESS}/commands", group=GROUP, json=DIAGNOSE).status_code


@pytest.fixture
def grant(deployed: DeployedService) -> dict[str, Any]:
    """A technician's, for two hours on one press."""
    deployed.people["acme"][GROUP] = add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email="lee@acme.example",
        groups=[GROUP],
        region="eu-central",
    )
    assert (reads(deployed), changes(deployed)) == (403, 403)
    await_copy(deployed, "acme")
    answer = deployed.call(
        "POST",
        "/v1/grants",
        json={
            "template": "technician-for-line",
            "person": deployed.people["acme"][GROUP].email,
            "device": "press-02",
            "until": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
            "reason": "a colleague is away",
        },
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "active"
    return answer.json()


def test_a_grant_counts_survives_an_up_and_is_revoked(
    deployed: DeployedService, grant: dict[str, Any]
) -> None:
    """Its copy is as good as ever; revoked, changes are refused at once, reads within 5 s."""
    store = deployed.setup.stacks["acme"]["policy_store_id"]
    client: Any = deployed.setup.cloud.client("verifiedpermissions")
    table: Any = deployed.setup.cloud.client("dynamodb")
    within(10, lambda: changes(deployed) == 202)
    within(10, lambda: reads(deployed) == 200)
    await_copy(deployed, "acme")
    assert decided(deployed, deployed.call("GET", PRESS, group=GROUP))[:2] == ("copy", True)

    deployed.setup.stamp("acme")
    found = client.get_policy(policyStoreId=store, policyId=grant["policy"])
    assert is_granted(found["definition"]["static"]["statement"])
    assert changes(deployed) == 202
    marks = granted(table, "acme")
    assert len(marks) == 1
    assert not any(map(is_granted, read(client, store, grants=marks).static.values()))

    answer = deployed.call("DELETE", f"/v1/grants/{grant['id']}")
    revoked = time.monotonic()
    assert answer.json()["state"] in {"revoked", "revoking"}
    assert changes(deployed) == 403
    within(5, lambda: reads(deployed) == 403)
    assert time.monotonic() - revoked < 5
    assert granted(table, "acme") == frozenset()
    within(30, lambda: _is_gone(client, store, grant["policy"]))
    await_copy(deployed, "acme")


def _is_gone(client: Any, store: str, policy_id: str) -> bool:
    listed = client.get_paginator("list_policies").paginate(policyStoreId=store)
    return policy_id not in {one["policyId"] for page in listed for one in page["policies"]}
