"""What wakes an operator: alarms on what tenants would notice first, all sent to one topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.stacks.platform_stack.balancer import Balancer
    from infra.stacks.platform_stack.iot import Iot

_MINUTE = 60  # seconds


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What is watched: the way in, and the queue of states that the rule could not store."""

    balancer: Balancer
    iot: Iot


class Alarms(pulumi.ComponentResource):
    """Alarms and the topic they are sent to; who listens to the topic is the operator's choice."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Observability", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self._topic = aws.sns.Topic(f"{name}-alarms", name="cedarfleet-alarms", opts=self._child)
        balancer = {"LoadBalancer": args.balancer.load_arn_suffix}
        self._alarm(
            "status-lost",
            "a device's state could not be written: look into the queue, "
            "then repair rule, role or table",
            metric=("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
            dimensions={"QueueName": args.iot.errors.name},
            more_than=0,
        )
        self._alarm(
            "service-errors",
            "the service answers 5xx",
            metric=("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum"),
            dimensions=balancer,
            more_than=10,
        )
        self._alarm(
            "service-unhealthy",
            "a task of the service does not answer",
            metric=("AWS/ApplicationELB", "UnHealthyHostCount", "Maximum"),
            dimensions=balancer | {"TargetGroup": args.balancer.target_arn_suffix},
            more_than=0,
        )
        self.topic_arn = self._topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})

    def _alarm(
        self,
        label: str,
        description: str,
        *,
        metric: tuple[str, str, str],
        dimensions: dict[str, pulumi.Output[str]],
        more_than: int,
    ) -> None:
        """One alarm: breaching in three of five minutes; no data is no breach."""
        namespace, metric_name, statistic = metric
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{label}",
            name=f"cedarfleet-{label}",
            alarm_description=description,
            namespace=namespace,
            metric_name=metric_name,
            statistic=statistic,
            dimensions=dimensions,
            comparison_operator="GreaterThanThreshold",
            threshold=more_than,
            period=_MINUTE,
            evaluation_periods=5,
            datapoints_to_alarm=3,
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            opts=self._child,
        )
