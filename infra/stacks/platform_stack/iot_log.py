"""What IoT Core says of itself: devices that it refused, rules that failed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.stacks.config.limits import IotLogLevel, LogDays


@dataclass(frozen=True, kw_only=True)
class IotLogArgs:
    """From which level on it says something, how long that is kept, and the account's digits."""

    level: IotLogLevel
    log_days: LogDays
    account_id: pulumi.Output[str]


class IotLog(pulumi.ComponentResource):
    """The account's logging options (there is one set of them), its role, and the log group.

    IoT Core chooses the group's name; it is made here first, so that its lines end. A line has
    client id, topic, address and what went wrong, and no payload (source: AWS IoT developer guide,
    "CloudWatch Logs log entries"). The options are the account's, so destroying the stack leaves
    them on: docs/operations.md says how to switch them off.
    """

    def __init__(
        self, name: str, args: IotLogArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:IotLog", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        log = aws.cloudwatch.LogGroup(
            f"{name}-log", name=names.IOT_LOG, retention_in_days=args.log_days, opts=child
        )
        role = aws.iam.Role(
            f"{name}-role",
            name=names.IOT_LOG_ROLE,
            assume_role_policy=args.account_id.apply(
                lambda account: json.dumps(iam.trust("iot.amazonaws.com", account))
            ),
            opts=child,
        )
        granted = aws.iam.RolePolicy(
            f"{name}-role",
            name="iot-log",
            role=role.name,
            policy=log.arn.apply(lambda arn: json.dumps(permissions(log_group_arn=arn))),
            opts=child,
        )
        aws.iot.LoggingOptions(
            f"{name}-options",
            default_log_level=args.level,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[granted])),
        )
        self.register_outputs({})


def permissions(*, log_group_arn: str) -> iam.Document:
    """Write into the one log group, which stands already.

    Source: AWS IoT developer guide, "Configure logging role and policy", whose policy has
    `logs:CreateLogGroup`, `PutMetricFilter` and `PutRetentionPolicy` too: they are for a group that
    IoT Core would make itself, and keep for ever.
    """
    return iam.document(
        iam.allow(
            "WriteLines",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [log_group_arn, f"{log_group_arn}:*"],
        )
    )
