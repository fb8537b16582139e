"""What the process logs of a request names who asked, and nothing secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def test_the_log_names_request_tenant_and_principal(deployed: DeployedService) -> None:
    """The one line of a request carries its id, tenant, principal, and what was decided."""
    answer = deployed.call("GET", "/v1/devices", headers={"X-Request-Id": "fields-12345678"})
    principal = deployed.call("GET", "/v1/me").json()["principal"]
    mine = {"caller_request_id": "fields-12345678"}
    deployed.service.await_event(
        "request.done", seconds=20, where=lambda line: line.items() >= mine.items()
    )
    log = (deployed.setup.state_dir / "service.log").read_text().splitlines()
    lines = [json.loads(line) for line in log if "fields-12345678" in line]
    assert [line["event"] for line in lines] == ["request.done"]
    named = {name: lines[0][name] for name in ("request_id", "tenant", "principal")}
    request_id = answer.headers["X-Request-Id"]
    assert named == {"request_id": request_id, "tenant": "acme", "principal": principal}
    (decided,) = lines[0]["decisions"]
    assert (decided["action"], decided["allowed"]) == ("ListDevices", True)


def test_nothing_secret_is_logged(deployed: DeployedService) -> None:
    """A command, a file and a refusal leave events without token, signed URL or content."""
    command = {"name": "reboot", "arguments": {"temperature": 900}}
    asked = {"X-Request-Id": "secrets-12345678"}
    assert (
        deployed.call(
            "POST", "/v1/devices/press-01/commands", json=command, headers=asked
        ).status_code
        == 202
    )
    body = {"device": "press-02", "artifact": "recipes/steel.json"}
    assert deployed.call("POST", "/v1/downloads", json=body).status_code == 202
    assert deployed.call("POST", "/v1/downloads", group="operators", json=body).status_code == 403
    mine = {"caller_request_id": "secrets-12345678"}
    deployed.service.await_event(
        "command.published", seconds=20, where=lambda line: line.items() >= mine.items()
    )
    assert deployed.leaks() == []


def test_the_worker_tells_what_it_measures(deployed: DeployedService) -> None:
    """On a port of its own, as the API does, and nothing else there."""
    beside = deployed.worker.await_event("metrics.listening", seconds=20)["url"]
    told = httpx.get(f"{beside}/metrics", trust_env=False)
    assert "# TYPE cedarfleet_work_total counter" in told.text
    assert httpx.get(f"{beside}/health/live", trust_env=False).status_code == 404
