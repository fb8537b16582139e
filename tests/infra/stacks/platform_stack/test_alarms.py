"""Each failure that tenants would notice rings an alarm, read off the stamped platform."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.engine import Op
from service.ports.metrics import (
    AUDIT_VERIFIED,
    HAPPENED,
    ISOLATION,
    POLICY_DIFFERENCES,
    PROBLEMS,
    WORK,
)
from tests.benchmarks import cost
from tests.infra.conftest import ROOT
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.infra.conftest import Project

# A minute's value of each metric that has one; a metric without a value has no data at all.
HEALTHY = {
    "HealthyHostCount": 2.0,
    "DaysToExpiry": 200.0,
    # A busy day: policies refuse, tokens have ended, devices come and go.
    f"{PROBLEMS.name} of permission-denied": 100.0,
    f"{PROBLEMS.name} of unauthenticated": 2.0,
    f"{HAPPENED.name} of lost": 20.0,
    # In a quarter of an hour: each of two workers every five minutes.
    f"{ISOLATION.name} of refused": 6.0,
    "UnHealthyHostCount": 0.0,
    "TargetResponseTime": 0.05,
    "ApproximateNumberOfMessagesVisible": 0.0,
    # 1,000 devices, each with a command a minute: record, three states, their publishes.
    "ConsumedWriteCapacityUnits": 6_000.0,
    # Of an expression: per cent of the quota.
    "ResourceCount": 20.0,
    # A morning on which a thousand people sign in, some of them twice.
    "CallCount": 1_500.0,
    # Agents that enrol without a User-Agent.
    "CountedRequests": 40.0,
}
FAILURES: dict[str, tuple[dict[str, float | None], set[str]]] = {
    "no task is left": (
        {"HealthyHostCount": None, "UnHealthyHostCount": None, "HTTPCode_ELB_5XX_Count": 900.0},
        {"service-gone", "balancer-errors"},
    ),
    "no task is left at night, when nobody calls": (
        {"HealthyHostCount": None, "UnHealthyHostCount": None, "TargetResponseTime": None},
        {"service-gone"},
    ),
    "every task hangs": (
        {"HealthyHostCount": 0.0, "UnHealthyHostCount": 2.0, "HTTPCode_ELB_5XX_Count": 40.0},
        {"service-gone", "service-unhealthy", "balancer-errors"},
    ),
    "one of two tasks hangs": (
        {"HealthyHostCount": 1.0, "UnHealthyHostCount": 1.0},
        {"service-unhealthy"},
    ),
    "AWS refuses the service": ({"HTTPCode_Target_5XX_Count": 50.0}, {"service-errors"}),
    "answers take seconds": ({"TargetResponseTime": 4.0}, {"service-slow"}),
    "states of devices are lost": (
        {"ApproximateNumberOfMessagesVisible of cedarfleet-status-errors": 1.0},
        {"status-lost"},
    ),
    "the worker cannot do what was asked": (
        {"ApproximateNumberOfMessagesVisible of cedarfleet-work-dead": 1.0},
        {"work-dead"},
    ),
    "a message of the worker meets a fault of ours": (
        {f"{WORK.name} of broken": 1.0},
        {"work-broken"},
    ),
    "somebody changes a tenant's audit trail": (
        {f"{AUDIT_VERIFIED.name} of broken": 1.0},
        {"audit-broken"},
    ),
    "no worker runs": (
        {"ApproximateAgeOfOldestMessage": 3600.0, f"{ISOLATION.name} of refused": None},
        {"work-late", "isolation-untried"},
    ),
    "a tenant's role is opened to another's rows": (
        {f"{ISOLATION.name} of refused": None, f"{ISOLATION.name} of reached": 6.0},
        {"isolation-broken", "isolation-untried"},
    ),
    "IoT Core and the table do not agree": (
        {"DevicesThatDiffer": 1.0},
        {"devices-differ"},
    ),
    "somebody changes a policy store by hand": (
        {f"{POLICY_DIFFERENCES.name} of store": 1.0},
        {"policies-differ-store"},
    ),
    "a copy of policies decides otherwise than its store": (
        {f"{POLICY_DIFFERENCES.name} of decision": 1.0},
        {"policies-differ-decision"},
    ),
    "a device makes up commands and reports on them": (
        {"ConsumedWriteCapacityUnits": 190_000.0},
        {"states-flood"},
    ),
    "somebody tries what they may not": (
        {f"{PROBLEMS.name} of permission-denied": 5_000.0},
        {"denials-surge"},
    ),
    "many come without a good token": (
        {f"{PROBLEMS.name} of unauthenticated": 400.0},
        {"sign-ins-surge"},
    ),
    "a site is gone": ({f"{HAPPENED.name} of lost": 900.0}, {"devices-lost"}),
    "files do not arrive": ({f"{HAPPENED.name} of failed": 40.0}, {"deliveries-failing"}),
    "a certificate is not renewed": ({"DaysToExpiry": 12.0}, {"certificate-ends"}),
    "somebody guesses passwords on a sign-in page": ({"CallCount": 20_000.0}, {"sign-in-calls"}),
    "an address floods the API": ({"CountedRequests": 5_000.0}, {"firewall-surge"}),
    "no further task could start": ({"ResourceCount": 90.0}, {"tasks-quota"}),
    "tables refuse reads": (
        {"ReadThrottleEvents": 30.0},
        {"tenants-read-throttled", "commands-read-throttled", "audit-read-throttled"},
    ),
    "tables refuse writes": (
        {"WriteThrottleEvents": 30.0},
        {"tenants-write-throttled", "commands-write-throttled", "audit-write-throttled"},
    ),
}


def watched(alarm: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metric of an alarm, or the one that its expression or its query is of."""
    if "metricQueries" not in alarm:
        return alarm
    asked = alarm["metricQueries"][0]
    if "metric" in asked:
        return asked["metric"]
    [name] = re.findall(r"^SELECT SUM\((\w+)\) ", asked["expression"])
    return {"metricName": name, "period": asked["period"]}


def rings(alarm: Mapping[str, Any], value: float | None) -> bool:
    """Whether CloudWatch rings after enough minutes of `value` (source: its guide, "Alarms")."""
    if value is None:
        return alarm["treatMissingData"] == "breaching"
    if alarm["comparisonOperator"] == "LessThanThreshold":
        return value < alarm["threshold"]
    assert alarm["comparisonOperator"] == "GreaterThanThreshold"
    return value > alarm["threshold"]


def _value(alarm: Mapping[str, Any], metrics: Mapping[str, float | None]) -> float | None:
    """Of the alarm's own queue or kind, if one is named, else of whatever has the metric."""
    metric: str = watched(alarm)["metricName"]
    dimensions = alarm.get("dimensions", {})
    of = next(
        (
            dimensions[one]
            for one in ("QueueName", "kind", "outcome", "problem", "how")
            if one in dimensions
        ),
        "",
    )
    return metrics.get(f"{metric} of {of}", metrics.get(metric))


def alarms_at(project: Project, metrics: Mapping[str, float | None]) -> set[str]:
    """The alarms of the stamped platform that ring at these values."""
    stamped = [
        one.inputs for one in resources(project.root, "platform") if "metricAlarm" in one.kind
    ]
    for one in stamped:
        daily = watched(one)["metricName"] in {"DevicesThatDiffer", "DaysToExpiry"}
        periods = (one["evaluationPeriods"], watched(one)["period"])
        assert one["alarmActions"]
        at_once = watched(one)["metricName"] in {
            AUDIT_VERIFIED.name,
            ISOLATION.name,
            POLICY_DIFFERENCES.name,
            WORK.name,
            "CallCount",
        }
        assert periods == ((1, 86_400) if daily else (1, 900) if at_once else (5, 60))
        # What a comparison found holds until the next finds nothing.
        assert (one["treatMissingData"] == "ignore") is daily
    return {
        one["name"].removeprefix("cedarfleet-")
        for one in stamped
        if rings(one, _value(one, metrics))
    }


def test_a_healthy_platform_rings_nothing(project: Project) -> None:
    """Quiet metrics, most of them without data, wake nobody."""
    assert alarms_at(project, HEALTHY) == set()


@pytest.mark.parametrize("failure", list(FAILURES))
def test_a_failure_rings(project: Project, failure: str) -> None:
    """Exactly the alarms that say what is wrong ring."""
    metrics, expected = FAILURES[failure]
    assert alarms_at(project, {**HEALTHY, **metrics}) == expected


def test_every_alarm_stands_for_a_failure(project: Project) -> None:
    """No alarm is stamped whose failure nobody named."""
    named = set[str]().union(*(expected for _, expected in FAILURES.values()))
    assert named == alarms_at(project, dict.fromkeys(metrics_of(project)) | LOUD)


LOUD: dict[str, float | None] = {
    "HealthyHostCount": 0.0,
    "DaysToExpiry": 0.0,
    f"{ISOLATION.name} of reached": 1e6,
    f"{ISOLATION.name} of refused": None,
} | dict.fromkeys(
    (
        "UnHealthyHostCount", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count",
        "TargetResponseTime", "ApproximateNumberOfMessagesVisible", "ReadThrottleEvents",
        "WriteThrottleEvents", "DevicesThatDiffer", POLICY_DIFFERENCES.name, WORK.name,
        "ConsumedWriteCapacityUnits", "ApproximateAgeOfOldestMessage",
        "ResourceCount", PROBLEMS.name, HAPPENED.name, AUDIT_VERIFIED.name, "CallCount",
        "CountedRequests",
    ),
    1e6,
)  # fmt: skip


def test_each_alarm_has_a_runbook_and_a_price(project: Project) -> None:
    """Its name, or that of its kind, stands in the table of docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("## When an alarm rings")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))
    words = set(re.findall(r"`([^`]+)`", " ".join(named)))
    stamped = {
        one.inputs["name"].removeprefix("cedarfleet-")
        for one in resources(project.root, "platform")
        if "metricAlarm" in one.kind
    }
    tables = {name for name in stamped if name.endswith("throttled")}
    assert {name for name in words if not name.endswith(("-", "throttled"))} == stamped - tables
    assert {name.partition("-")[0] + "-" for name in tables} == {
        name for name in words if name.endswith("-") and name != "read-"
    }
    assert len(stamped) == cost.ALARMS


def metrics_of(project: Project) -> set[str]:
    """Every metric that an alarm watches."""
    return {
        watched(one.inputs)["metricName"]
        for one in resources(project.root, "platform")
        if "metricAlarm" in one.kind
    }


def test_the_share_of_a_quota_is_awss_own_figure(project: Project) -> None:
    """The expression asks CloudWatch for the quota of the day, and alone returns a value."""
    [alarm] = [
        one.inputs
        for one in resources(project.root, "platform")
        if one.inputs.get("name") == "cedarfleet-tasks-quota"
    ]
    used, share = alarm["metricQueries"]
    assert used["metric"]["namespace"] == "AWS/Usage"
    assert share["expression"] == f"{used['id']} / SERVICE_QUOTA({used['id']}) * 100"
    assert (used.get("returnData", False), share["returnData"]) == (False, True)
    assert alarm["threshold"] == 80
    assert "metricName" not in alarm


def of(project: Project, label: str) -> dict[str, Any]:
    """The stamped alarm of that label."""
    [found] = [
        one.inputs
        for one in resources(project.root, "platform")
        if "metricAlarm" in one.kind and one.inputs["name"] == f"cedarfleet-{label}"
    ]
    return found


def test_sign_ins_are_counted_over_all_pools(project: Project) -> None:
    """The query names Cognito's category of sign-ins, and no pool."""
    [query] = of(project, "sign-in-calls")["metricQueries"]
    assert query["returnData"] is True
    assert dict(re.findall(r"(\w+) = '([^']+)'", query["expression"])) == {
        "Service": "Cognito user pool",
        "Resource": "UserAuthentication",
    }


def test_the_firewalls_alarm_is_of_its_own_metrics(own: Project) -> None:
    """Its dimensions are what the web ACL calls its metrics; once it blocks, what it blocks."""
    alarm = of(own, "firewall-surge")
    [acl] = [one for one in resources(own.root, "platform") if one.kind.endswith(":WebAcl")]
    counted = {one["visibilityConfig"]["metricName"] for one in acl.inputs["rules"]}
    assert alarm["metricName"] == "CountedRequests"
    assert alarm["dimensions"]["Rule"] in counted
    assert alarm["dimensions"]["WebACL"] == acl.inputs["visibilityConfig"]["metricName"]
    assert alarm["dimensions"]["WebACL"] == acl.inputs["name"]
    own.change("platform", firewall="block")
    changed = {one.urn.split("::")[-1]: one for one in own.engine.preview("platform").changes}
    rings = changed["alarms-firewall-surge"]
    assert (rings.op, rings.keys) == (Op.UPDATE, ("dimensions", "metricName"))
