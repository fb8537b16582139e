"""The container of the service on AWS, read as the service itself reads it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from infra.local.engine import Op
from infra.stacks.platform_stack.service import METRICS_PORT
from service.settings import Settings
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from tests.infra.conftest import Project


@pytest.fixture(scope="module")
def settings(project: Project) -> Settings:
    """The settings that the stamped task definition gives to the service."""
    path = project.root / "state" / "stacks" / "cedarfleet" / "platform.json"
    resources: list[dict[str, Any]] = json.loads(path.read_text())["deployment"]["resources"]
    tasks = [one for one in resources if one["type"] == "aws:ecs/taskDefinition:TaskDefinition"]
    containers = [json.loads(task["inputs"]["containerDefinitions"])[0] for task in tasks]
    told = {one["name"]: one["environment"] for one in containers}
    assert told["worker"] == told["service"], "both programs of the image read the same"
    mapped = {
        one["name"]: [port["containerPort"] for port in one["portMappings"]] for one in containers
    }
    assert mapped == {"service": [8000], "worker": []}, "what is measured is forwarded by nobody"
    commands = {one["name"]: one["command"][-1] for one in containers}
    assert commands == {"service": "api", "worker": "worker"}
    return Settings.read({one["name"]: one["value"] for one in told["service"]})


def client_seen(trusted: str, *, peer: str, forwarded: str) -> str:
    """The caller's address that the service sees, behind the same middleware as in its process."""
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    scope: Any = {
        "type": "http",
        "client": (peer, 1),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    nothing: Any = None
    asyncio.run(ProxyHeadersMiddleware(application, trusted_hosts=trusted)(scope, nothing, nothing))
    return seen[0]


def test_the_service_is_told_the_names_of_the_tables(settings: Settings) -> None:
    """The service takes every variable of the container, and finds tables and port by them."""
    assert (settings.tenants.table, settings.records.commands_table) == (
        "cedarfleet-tenants",
        "cedarfleet-commands",
    )
    assert (settings.records.audit_table, settings.http.port, settings.aws.region) == (
        "cedarfleet-audit",
        8000,
        "eu-central-1",
    )


def test_what_is_measured_is_told_inside_the_task_alone(settings: Settings) -> None:
    """`/metrics` listens on loopback at a port of its own; CloudWatch is told each minute."""
    http = settings.http
    assert (http.metrics_host, http.metrics_port) == ("127.0.0.1", METRICS_PORT)
    assert http.metrics_port != http.port
    assert http.metrics_line_seconds == 60


def test_the_service_is_told_the_accounts_data_plane(settings: Settings, project: Project) -> None:
    """Commands go to the endpoint that IoT Core names for the account, not to that for tests."""
    iot = project.cloud.client("iot")
    own = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    assert settings.aws.iot_data_url == f"https://{own}"
    assert project.engine.outputs("platform").outputs["iot_data_endpoint"] == own


def test_the_load_balancer_alone_says_who_calls(settings: Settings) -> None:
    """The caller's address is the load balancer's word; neither caller nor task can forge it."""
    trusted = settings.http.trusted_proxies
    assert client_seen(trusted, peer="10.20.0.7", forwarded="203.0.113.9") == "203.0.113.9"
    assert (
        client_seen(trusted, peer="10.20.16.7", forwarded="198.51.100.1, 203.0.113.9")
        == "203.0.113.9"
    )
    assert client_seen(trusted, peer="10.20.128.7", forwarded="203.0.113.9") == "10.20.128.7"


def test_no_task_runs_before_the_first_image(project: Project) -> None:
    """Without `image_tag` the repository and all around it stand, and nothing that would pull."""
    path = project.root / "tenants" / "Pulumi.platform.yaml"
    text = path.read_text()
    document = yaml.safe_load(text)
    del document["config"]["cedarfleet:platform"]["image_tag"]
    try:
        path.write_text(yaml.safe_dump(document))
        changes = [
            change
            for change in project.engine.preview("platform").changes
            if change.op is not Op.READ
        ]
    finally:
        path.write_text(text)

    assert {(change.op, change.urn.split("::")[2].rpartition("$")[2]) for change in changes} == {
        (Op.DELETE, "aws:appautoscaling/policy:Policy"),
        (Op.DELETE, "aws:appautoscaling/target:Target"),
        (Op.DELETE, "aws:ecs/cluster:Cluster"),
        (Op.DELETE, "aws:ecs/service:Service"),
        (Op.DELETE, "aws:ecs/taskDefinition:TaskDefinition"),
        # That no task runs is no alarm then.
        (Op.DELETE, "aws:cloudwatch/metricAlarm:MetricAlarm"),
    }


def test_a_release_that_answers_with_errors_is_taken_back(project: Project) -> None:
    """By alarms that stand before the deployment; `up` waits for the end of it."""
    stamped = resources(project.root, "platform")
    service, worker = (
        next(one for one in stamped if one.name == f"Service api-{name}")
        for name in ("service", "worker")
    )
    rings = service.inputs["alarms"]
    assert (rings["enable"], rings["rollback"]) == (True, True)
    assert set(rings["alarmNames"]) == {"cedarfleet-balancer-errors", "cedarfleet-service-errors"}
    standing = {one.inputs["name"]: one.name for one in stamped if "MetricAlarm" in one.kind}
    assert {standing[name] for name in rings["alarmNames"]} <= service.after
    for one in (service, worker):
        assert one.inputs["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
        assert one.inputs["waitForSteadyState"] is True


def test_tasks_follow_cpu_and_requests(project: Project) -> None:
    """Either brings tasks; requests are counted at the service's own targets."""
    found = resources(project.root, "platform")
    follows = {
        one.inputs["name"]: one.inputs["targetTrackingScalingPolicyConfiguration"]
        for one in found
        if one.kind == "aws:appautoscaling/policy:Policy"
    }
    cpu, requests = (follows[name]["predefinedMetricSpecification"] for name in ("cpu", "requests"))
    assert cpu == {"predefinedMetricType": "ECSServiceAverageCPUUtilization"}
    assert requests["predefinedMetricType"] == "ALBRequestCountPerTarget"
    # Source: Application Auto Scaling API reference, PredefinedMetricSpecification, ResourceLabel.
    assert re.fullmatch(
        r"app/cedarfleet/[0-9a-f]{16}/targetgroup/cedarfleet-service/[0-9a-f]{16}",
        requests["resourceLabel"],
    )
