"""A tenant's policies change under load: nothing that old and new deny is ever allowed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.infra.conftest import Project

FORBID = """// {why}
@id("presses-stand-still")
forbid (
  principal,
  action == Fleet::Action::"OperateDevice",
  resource is Fleet::Device
)
when {{ resource has kind && {condition} }};
"""


def test_an_update_leaves_no_gap(project: Project) -> None:
    """While a forbid replaces one that denies the same, a manager is denied every time."""
    folder = project.root / "tenants" / "vandelay" / "policies"
    folder.mkdir(parents=True)
    file = folder / "presses-stand-still.cedar"
    file.write_text(
        FORBID.format(why="The hall is being rebuilt.", condition='resource.kind == "press"')
    )
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    document["config"]["cedarfleet:tenant"]["kinds"] = ["press", "pump"]
    document["config"]["cedarfleet:tenant"] |= {"policies": "vandelay/policies", "protect": False}
    document["config"]["cedarfleet:tenant"]["sign_in"]["domain_prefix"] = "cedarfleet-vandelay"
    (project.root / "tenants" / "Pulumi.vandelay.yaml").write_text(yaml.safe_dump(document))
    made = project.up("vandelay").outputs
    question = _question(made["policy_store_id"], made["user_pool_id"])
    client = project.cloud.client("verifiedpermissions")
    first = client.is_authorized(**question)
    assert first["decision"] == "DENY"
    assert [made["policy_names"][one["policyId"]] for one in first["determiningPolicies"]] == [
        "presses-stand-still"
    ]

    decisions: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            decisions.append(client.is_authorized(**question)["decision"])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        condition = '["press", "pump"].contains(resource.kind)'
        file.write_text(
            FORBID.format(why="Hall and pump room are being rebuilt.", condition=condition)
        )
        after = project.up("vandelay").outputs
    finally:
        done.set()
        asking.join()

    assert len(decisions) > 10
    assert set(decisions) == {"DENY"}
    last = client.is_authorized(**question)["determiningPolicies"]
    assert [after["policy_names"][one["policyId"]] for one in last] == ["presses-stand-still"]
    assert last != first["determiningPolicies"]
    project.engine.destroy("vandelay")


def _question(store: str, pool: str) -> dict[str, Any]:
    """May a manager operate a press? The permit says yes, so only the forbid can say no."""
    tenant = {"entityType": "Fleet::Tenant", "entityId": "vandelay"}
    user = {"entityType": "Fleet::User", "entityId": f"{pool}|m"}
    device = {"entityType": "Fleet::Device", "entityId": "press-1"}
    return {
        "policyStoreId": store,
        "principal": user,
        "action": {"actionType": "Fleet::Action", "actionId": "OperateDevice"},
        "resource": device,
        "context": {
            "contextMap": {
                "emergency": {"boolean": False},
                "now": {"datetime": "2026-11-22T12:00:00Z"},
            }
        },
        "entities": {
            "entityList": [
                {
                    "identifier": user,
                    "parents": [{"entityType": "Fleet::Group", "entityId": f"{pool}|managers"}],
                },
                {
                    "identifier": device,
                    "attributes": {
                        "kind": {"string": "press"},
                        "tenant": {"entityIdentifier": tenant},
                    },
                },
            ]
        },
    }
