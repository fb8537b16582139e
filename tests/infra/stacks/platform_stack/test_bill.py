"""What costs more than it should is told to the operators' topic, and alarms are heard as before.

That AWS's budgets ring is *not run*: nothing here makes costs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from infra.local.engine import Op
from infra.local.resources.provider_calls import CALLS, RefusedCallError, check
from infra.stacks.platform_stack import bill
from tests.benchmarks import cost
from tests.infra.conftest import ROOT
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from tests.infra.conftest import Project

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION = "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:cedarfleet-alarms"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:cedarfleet-service-gone"
BUDGET = f"arn:aws:budgets::{ACCOUNT}:budget/cedarfleet-month"
KIND = "aws:budgets/budget:Budget"


def lets_in(service: str, source: str, account: str = ACCOUNT) -> bool:
    """Whether the topic lets a service publish that comes for a resource of an account."""
    policy = bill.topic_policy(topic_arn=TOPIC, account_id=ACCOUNT, region=REGION)
    asked = EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="sns:Publish",
        resource_arn=TOPIC,
        region=REGION,
        service_context={"aws:sourcearn": source, "aws:sourceaccount": account},
    )
    decided: Any = evaluate_resource_policy(json.dumps(policy), asked, service=service)
    return decided.decision == "Allow"


def budgets(project: Project) -> dict[str, dict[str, Any]]:
    """The stamped budgets by name."""
    stamped = resources(project.root, "platform")
    return {one.inputs["name"]: one.inputs for one in stamped if one.kind == KIND}


def test_budgets_and_alarms_of_this_account_publish() -> None:
    """The document takes the place of SNS's own, so alarms must stand in it; strangers do not."""
    assert lets_in("cloudwatch.amazonaws.com", ALARM)
    assert lets_in("budgets.amazonaws.com", BUDGET)
    assert not lets_in("cloudwatch.amazonaws.com", ALARM.replace(ACCOUNT, OTHER), OTHER)
    assert not lets_in("budgets.amazonaws.com", BUDGET.replace(ACCOUNT, OTHER), OTHER)
    assert not lets_in("s3.amazonaws.com", "arn:aws:s3:::acme-artifacts")


def test_every_alarm_may_publish(project: Project) -> None:
    """Each that is stamped, by its own name."""
    names = [
        one.inputs["name"]
        for one in resources(project.root, "platform")
        if one.kind == "aws:cloudwatch/metricAlarm:MetricAlarm"
    ]
    assert len(names) == cost.ALARMS
    for name in names:
        source = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"
        assert lets_in("cloudwatch.amazonaws.com", source), name


def test_the_topic_has_the_policy(project: Project) -> None:
    """As SNS tells it, and not only as the program asked."""
    topic = project.engine.outputs("platform").outputs["alarms_topic_arn"]
    told = project.cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    sources = {
        statement["Principal"]["Service"]: statement["Condition"]["ArnLike"]["aws:SourceArn"]
        for statement in json.loads(told["Policy"])["Statement"]
    }
    assert sources.keys() == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert all(project.cloud.account_id in source for source in sources.values())


def test_a_month_and_a_day_ring(project: Project) -> None:
    """The month by what is forecast and what was spent, the day at twice its share of it."""
    found = budgets(project)
    topic = project.engine.outputs("platform").outputs["alarms_topic_arn"]
    told = {
        (name, one["limitAmount"], each["notificationType"], each["threshold"])
        for name, one in found.items()
        for each in one["notifications"]
    }
    assert told == {
        ("cedarfleet-month", "300.00", "FORECASTED", 100),
        ("cedarfleet-month", "300.00", "ACTUAL", 100),
        ("cedarfleet-day", "10.00", "ACTUAL", 200),
    }
    for one in found.values():
        assert {tuple(each["subscriberSnsTopicArns"]) for each in one["notifications"]} == {
            (topic,)
        }
        # An account with credits would cost nothing, whatever it does.
        assert one["costTypes"]["includeCredit"] is False
    assert (found["cedarfleet-month"]["timeUnit"], found["cedarfleet-day"]["timeUnit"]) == (
        "MONTHLY",
        "DAILY",
    )


def test_no_budget_speaks_before_it_may(project: Project) -> None:
    """Each waits for the topic's policy, without which its word is lost."""
    waits = {one.name: one.after for one in resources(project.root, "platform") if one.kind == KIND}
    assert len(waits) == 2
    assert all(any(name.endswith("bill-topic") for name in after) for after in waits.values())


def test_the_committed_budget_covers_a_quiet_platform() -> None:
    """What the page counts for a small platform is under the committed file's figure."""
    file = yaml.safe_load((ROOT / "tenants" / "Pulumi.platform.yaml").read_text())
    small = cost.Bill(cost.UNITS).fleet(tenants=1, devices_each=100, commands_a_day=1, machines=0)
    assert small < file["config"]["cedarfleet:platform"]["monthly_dollars"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"timeUnit": "HOURLY"}, "enum value set"),
        ({"limitAmount": "1,000"}, "pattern"),
        ({"notifications": [{"notificationType": "SUSPECTED"}]}, "enum value set"),
    ],
)
def test_what_budgets_would_refuse_is_refused(
    project: Project, changed: dict[str, Any], words: str
) -> None:
    """The calls that the provider would make are held to AWS's own model."""
    inputs = budgets(project)["cedarfleet-day"]
    check(CALLS[KIND](f"{ACCOUNT}:cedarfleet-day", inputs))
    with pytest.raises(RefusedCallError, match=words):
        check(CALLS[KIND](f"{ACCOUNT}:cedarfleet-day", inputs | changed))


def test_without_the_key_there_is_no_budget(own: Project) -> None:
    """Budgets and the topic's policy go, nothing else; SNS's own policy stands again."""
    own.change("platform", monthly_dollars=None)
    changes = [one for one in own.engine.preview("platform").changes if one.op is not Op.READ]
    gone = {(one.op, one.urn.split("::")[-1]) for one in changes}
    assert gone == {(Op.DELETE, name) for name in ("bill", "bill-topic", "bill-month", "bill-day")}
