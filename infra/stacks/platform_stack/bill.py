"""What a month may cost: two budgets of AWS's, which tell the operators' topic of a surge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.stacks import iam

DAYS: Final = 30  # of a month, for the share of one day
SURGE_PERCENT: Final = 200
"""Of its share, what a single day costs before it rings."""
# What the tables of docs/cost.md hold too. With credits and refunds an account of a new customer
# costs nothing whatever it does, and rings nothing; tax and support come once, on one day.
_COUNTED: Final[Any] = {
    "include_credit": False,
    "include_refund": False,
    "include_support": False,
    "include_tax": False,
}


@dataclass(frozen=True, kw_only=True)
class BillArgs:
    """What is expected, and who is told.

    Attributes:
        monthly_dollars: US dollars that a month of the whole account may cost.
        topic_arn: of the operators' topic.
        account_id: twelve digits.
        region: AWS region of the alarms.
    """

    monthly_dollars: int
    topic_arn: pulumi.Output[str]
    account_id: pulumi.Output[str]
    region: str


class Bill(pulumi.ComponentResource):
    """A budget of the month and one of the day, for all that the account spends.

    AWS looks at costs up to three times a day (source: Cost Management user guide, "Managing your
    costs with AWS Budgets": "Updates typically occur 8-12 hours after the previous update"), and
    forecasts from some five weeks of use on (the same, "Best practices for AWS Budgets"): until
    then the day's budget alone is early. What a tenant costs is no budget here, since AWS knows the
    tag only once somebody has activated it by hand (docs/operations.md has the call).
    """

    def __init__(
        self, name: str, args: BillArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Bill", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        written = aws.sns.TopicPolicy(
            f"{name}-topic",
            arn=args.topic_arn,
            policy=pulumi.Output.all(args.topic_arn, args.account_id).apply(
                lambda known: json.dumps(
                    topic_policy(topic_arn=known[0], account_id=known[1], region=args.region)
                )
            ),
            opts=child,
        )
        # Before it may publish a budget's word would be lost.
        after = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[written]))
        for label, unit, dollars, told in (
            ("month", "MONTHLY", args.monthly_dollars, (("FORECASTED", 100), ("ACTUAL", 100))),
            ("day", "DAILY", args.monthly_dollars / DAYS, (("ACTUAL", SURGE_PERCENT),)),
        ):
            aws.budgets.Budget(
                f"{name}-{label}",
                name=f"cedarfleet-{label}",
                budget_type="COST",
                time_unit=unit,
                limit_amount=f"{dollars:.2f}",
                limit_unit="USD",
                cost_types=_COUNTED,
                notifications=[
                    _told(kind, percent, topic_arn=args.topic_arn) for kind, percent in told
                ],
                opts=after,
            )
        self.register_outputs({})


def topic_policy(*, topic_arn: str, account_id: str, region: str) -> iam.Document:
    """Budgets and alarms of this account publish to the topic.

    The alarms are named because this document takes the place of the one that SNS gives a topic,
    which lets whatever comes for its owner publish; without them no alarm would be heard any more.

    Source: Cost Management user guide, "Creating an Amazon SNS topic for budget notifications"; SNS
    developer guide, "Allow CloudWatch alarms to publish".
    """
    come: tuple[tuple[str, str, str], ...] = (
        ("Alarms", "cloudwatch", f"arn:aws:cloudwatch:{region}:{account_id}:alarm:cedarfleet-*"),
        ("Budgets", "budgets", f"arn:aws:budgets::{account_id}:*"),
    )
    return iam.document(
        *(
            iam.allow_service(
                sid,
                f"{service}.amazonaws.com",
                "sns:Publish",
                topic_arn,
                when={
                    "StringEquals": {"aws:SourceAccount": account_id},
                    "ArnLike": {"aws:SourceArn": source},
                },
            )
            for sid, service, source in come
        )
    )


def _told(kind: str, percent: int, *, topic_arn: pulumi.Output[str]) -> Any:
    return {
        "comparison_operator": "GREATER_THAN",
        "notification_type": kind,
        "threshold": percent,
        "threshold_type": "PERCENTAGE",
        "subscriber_sns_topic_arns": [topic_arn],
    }
