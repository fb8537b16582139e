"""Who spoke to whom in the platform's network: addresses, ports and bytes, never content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.stacks.config.limits import LogDays
    from infra.stacks.platform_stack.network import Network


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """The network, how long a line is kept, and the account's twelve digits."""

    network: Network
    days: LogDays
    region: str
    account_id: pulumi.Output[str]


class FlowLogs(pulumi.ComponentResource):
    """Log group, role, and the flow log of the whole VPC: what was let through and what was not."""

    def __init__(
        self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        log = aws.cloudwatch.LogGroup(
            f"{name}-log", name=names.FLOW_LOG, retention_in_days=args.days, opts=child
        )
        role = aws.iam.Role(
            f"{name}-role",
            name=names.FLOW_LOGS_ROLE,
            assume_role_policy=args.account_id.apply(
                lambda account: json.dumps(trust(account_id=account, region=args.region))
            ),
            opts=child,
        )
        granted = aws.iam.RolePolicy(
            f"{name}-role",
            name="flow-logs",
            role=role.name,
            policy=log.arn.apply(lambda arn: json.dumps(permissions(log_group_arn=arn))),
            opts=child,
        )
        aws.ec2.FlowLog(
            f"{name}-network",
            vpc_id=args.network.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log.arn,
            iam_role_arn=role.arn,
            # Seconds; the other choice is 60, ten times the lines.
            max_aggregation_interval=600,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[granted])),
        )
        self.register_outputs({})


def trust(*, account_id: str, region: str) -> iam.Document:
    """Flow logs of this account in this region may assume the role.

    Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    logs = f"arn:aws:ec2:{region}:{account_id}:vpc-flow-log/*"
    return iam.trust("vpc-flow-logs.amazonaws.com", account_id, logs)


def permissions(*, log_group_arn: str) -> iam.Document:
    """Write into the one log group, which stands already.

    Source: as `trust`; that page's `logs:CreateLogGroup` and `logs:DescribeLogGroups` are for a
    group that does not stand.
    """
    return iam.document(
        iam.allow(
            "WriteLines",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [log_group_arn, f"{log_group_arn}:*"],
        )
    )
