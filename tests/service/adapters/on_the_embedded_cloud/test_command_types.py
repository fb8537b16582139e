"""Commands declared by the API and by the file: their rows, and what the tenant's policies say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PATH = "/v1/devices/press-02/commands"


def test_a_declared_command_is_sent_under_its_action(deployed: DeployedService) -> None:
    """Stored, decided by the tenant's store, changed by its tag and ended."""
    body = {
        "name": "load-recipe",
        "action": "SetParameters",
        "parameters": {"type": "object", "required": ["recipe"]},
    }
    made = deployed.call("POST", "/v1/command-types", json=body)
    assert made.status_code == 201, made.text
    assert deployed.call("POST", "/v1/command-types", json=body).status_code == 409
    sent = {"name": "load-recipe", "arguments": {"recipe": "brass"}}
    assert deployed.call("POST", PATH, json=sent).status_code == 202
    refused = deployed.call("POST", PATH, json={"name": "load-recipe"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "arguments.recipe")
    path = "/v1/command-types/load-recipe"
    changed = deployed.call(
        "PUT", path, json={"action": "StopDevice"}, headers={"If-Match": made.headers["ETag"]}
    )
    assert changed.status_code == 200, changed.text
    late = deployed.call("DELETE", path, headers={"If-Match": made.headers["ETag"]})
    assert late.status_code == 412
    assert deployed.call("DELETE", path).status_code == 200
    assert deployed.call("POST", PATH, json=sent).status_code == 400


def test_rules_of_the_tenants_file_are_held(deployed: DeployedService) -> None:
    """As the stack wrote them into the registry's row."""
    listed = deployed.call("GET", "/v1/command-types").json()["command_types"]
    [diagnostics] = [one for one in listed if one["name"] == "run-diagnostics"]
    assert (diagnostics["source"], diagnostics["max_timeout_seconds"]) == ("file", 600)
    body = {"name": "run-diagnostics", "arguments": {"scope": "everything"}}
    refused = deployed.call("POST", PATH, json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "arguments.scope")
    assert deployed.call("DELETE", "/v1/command-types/run-diagnostics").status_code == 409
