"""What wakes an operator: alarms on what tenants would notice first, all sent to one topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.platform_stack import firewall
from infra.stacks.platform_stack.service_alarms import ALWAYS, ISOLATION

if TYPE_CHECKING:
    from infra.stacks.config.limits import FirewallMode
    from infra.stacks.platform_stack.balancer import Balancer
    from infra.stacks.platform_stack.iot import Iot
    from infra.stacks.platform_stack.tables import Tables
    from infra.stacks.platform_stack.work import Work

_MINUTE = 60  # seconds
_QUARTER = 15 * _MINUTE
_DAY = 24 * 60 * _MINUTE
# Write units of a minute at which one tenant's partition is full, 1,000 a second (source: DynamoDB
# developer guide, "Partitions"). One device that makes up command ids can write three times that,
# for $170 a day; a fleet of 1,000 devices with a command a minute each needs a tenth.
_FLOOD = 60 * 1000
_OF_A_QUOTA = 80  # per cent
# In a minute: more than an address may ask at all is refused before any of it is counted, so that
# one machine that loops is some hundreds.
_REFUSED = 1000
# In a quarter of an hour, ten a second of the 120 that Cognito lets an account make by default
# (source: its developer guide, "Quotas", category UserAuthentication).
_SIGN_INS = 9000
_RENEWED_DAYS = 30  # ACM has tried for a month by then
# What a bad release alone brings; a slow answer may be a slow AWS, which no older release mends.
_OF_A_RELEASE = ("balancer-errors", "service-errors")
_LATE = 15 * _MINUTE  # seconds that a message waits: the longest pause between two attempts


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """What is watched: the way in, the tables, and the queue of states that were not stored.

    `runs`: whether tasks are meant to run, which before the first image none is.
    `is_tried`: whether they have two tenants whose boundary they try.
    `firewall`: what stands before them, if anything does.
    """

    balancer: Balancer
    tables: Tables
    iot: Iot
    work: Work
    runs: bool
    is_tried: bool
    firewall: FirewallMode | None
    region: str


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A metric and when it is too much, or too little.

    Attributes:
        metric: namespace, name and statistic.
        dimensions: of the metric.
        above: the alarm rings above this ...
        below: ... or below this.
        missing_is_wrong: whether no data at all rings too; by default it is no news.
        once_a_day: whether one value a day is all there is; between two the alarm stays as it is.
        at_once: whether one value in a quarter of an hour is enough.
    """

    metric: tuple[str, str, str]
    dimensions: dict[str, pulumi.Output[str]]
    above: float | None = None
    below: float | None = None
    missing_is_wrong: bool = False
    once_a_day: bool = False
    at_once: bool = False

    @property
    def missing(self) -> str:
        """What CloudWatch makes of missing data (source: its guide, "How alarms treat ...")."""
        if self.once_a_day:
            return "ignore"
        return "breaching" if self.missing_is_wrong else "notBreaching"


class Alarms(pulumi.ComponentResource):
    """Alarms and the topic they are sent to; who listens to the topic is the operator's choice.

    Each stands for a failure that tenants would notice: tests/infra/stacks/platform_stack/
    test_alarms.py lists those, with what the metrics show then.

    Attributes:
        topic_arn: where they are sent.
        of_a_release: names of those that take a deployment back.
    """

    topic_arn: pulumi.Output[str]
    of_a_release: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Observability", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self._made: dict[str, aws.cloudwatch.MetricAlarm] = {}
        self._topic = aws.sns.Topic(f"{name}-alarms", name="cedarfleet-alarms", opts=self._child)
        self._watch_way_in(args)
        for label, table in (
            ("tenants", args.tables.tenants),
            ("commands", args.tables.commands),
            ("audit", args.tables.audit),
        ):
            for kind in ("Read", "Write"):
                self._alarm(
                    f"{label}-{kind.lower()}-throttled",
                    f"the {label} table refuses {kind.lower()}s: requests of the service fail",
                    Watched(
                        metric=("AWS/DynamoDB", f"{kind}ThrottleEvents", "Sum"),
                        dimensions={"TableName": table.name},
                        above=10,
                    ),
                )
        self._alarm(
            "states-flood",
            "devices write states as no fleet does: look who sends (docs/operations.md)",
            Watched(
                metric=("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "Sum"),
                dimensions={"TableName": args.tables.commands.name},
                above=_FLOOD,
            ),
        )
        self._alarm(
            "status-lost",
            "a device's state could not be written: look into the queue, "
            "then repair rule, role or table",
            Watched(
                metric=("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
                dimensions={"QueueName": args.iot.errors.name},
                above=0,
            ),
        )
        self._alarm(
            "work-dead",
            "the worker could not do what was asked, ten times: look into the queue, repair, "
            "send back (docs/operations.md)",
            Watched(
                metric=("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
                dimensions={"QueueName": args.work.dead.name},
                above=0,
            ),
        )
        self._alarm(
            "work-late",
            "work waits for long: no worker runs, or more was asked than AWS's rates allow",
            Watched(
                metric=("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum"),
                dimensions={"QueueName": args.work.queue.name},
                above=_LATE,
            ),
        )
        self._alarm(
            "devices-differ",
            "IoT Core and the table do not agree on devices: `python -m infra devices compare "
            "<tenant>` names them",
            Watched(
                metric=(names.METRICS, names.DEVICES_THAT_DIFFER, "Maximum"),
                dimensions={},
                above=0,
                once_a_day=True,
            ),
        )
        for one in (*ALWAYS, *(ISOLATION if args.is_tried else ())):
            self._alarm(
                one.label,
                one.words,
                Watched(
                    metric=(names.SERVICE_METRICS, one.metric, "Sum"),
                    dimensions={
                        key: pulumi.Output.from_input(value)
                        for key, value in one.dimensions.items()
                    },
                    above=one.above,
                    below=one.below,
                    missing_is_wrong=one.below is not None,
                    at_once=one.at_once,
                ),
            )
        self._watch_certificate(args)
        self._watch_quotas()
        self._watch_pools()
        if args.firewall is not None:
            self._watch_firewall(args.firewall, args.region)
        self.topic_arn = self._topic.arn
        self.of_a_release = [self._made[label].name for label in _OF_A_RELEASE]
        self.register_outputs({"topic_arn": self.topic_arn})

    def _watch_certificate(self, args: AlarmsArgs) -> None:
        """ACM renews 60 days before the end (source: its user guide, "Managed renewal").

        Source of the metric: ACM user guide, "Supported CloudWatch metrics".
        """
        self._alarm(
            "certificate-ends",
            "the certificate of the API is not renewed and ends: look whether its DNS record stands"
            " (docs/operations.md)",
            Watched(
                metric=("AWS/CertificateManager", "DaysToExpiry", "Minimum"),
                dimensions={"CertificateArn": args.balancer.certificate_arn},
                below=_RENEWED_DAYS,
                once_a_day=True,
            ),
        )

    def _watch_quotas(self) -> None:
        """What the account uses of a quota, where AWS's pages tie a metric to it (docs/quotas.md).

        Source: Amazon ECS developer guide, "AWS Fargate usage metrics"; CloudWatch user guide,
        "Visualizing your service quotas and setting alarms".
        """
        used: dict[str, Any] = {
            "namespace": "AWS/Usage",
            "metric_name": "ResourceCount",
            "dimensions": {
                "Service": "Fargate",
                "Type": "Resource",
                "Resource": "vCPU",
                "Class": "Standard/OnDemand",
            },
            "period": _MINUTE,
            "stat": "Maximum",
        }
        queries: list[Any] = [
            {"id": "used", "metric": used},
            {
                "id": "share",
                "expression": "used / SERVICE_QUOTA(used) * 100",
                "label": "per cent of the quota",
                "return_data": True,
            },
        ]
        self._of_queries(
            "tasks-quota",
            "the account's quota of Fargate vCPUs is nearly used up: then no further task starts, "
            "nor the new ones of a deployment (docs/quotas.md)",
            queries,
            threshold=_OF_A_QUOTA,
            periods=(5, 3),
        )

    def _of_queries(
        self,
        label: str,
        description: str,
        queries: list[Any],
        *,
        threshold: float,
        periods: tuple[int, int],
    ) -> None:
        """An alarm on what queries return: too much, in so many periods, of which so many count."""
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{label}",
            name=f"cedarfleet-{label}",
            alarm_description=description,
            metric_queries=queries,
            comparison_operator="GreaterThanThreshold",
            threshold=threshold,
            evaluation_periods=periods[0],
            datapoints_to_alarm=periods[1],
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            opts=self._child,
        )

    def _watch_pools(self) -> None:
        """Sign-ins that are tried at all pools together, whether they succeed or not.

        Cognito counts failures by pool and app client alone, as the difference of two statistics;
        why those do not ring: docs/adr/0055. A query finds the metric whatever its dimension
        `Class` is, of which AWS's page says only that it is not used (source: Cognito developer
        guide, "Dimensions for Amazon Cognito user pools").
        """
        asked = (
            'SELECT SUM(CallCount) FROM "AWS/Usage" '
            "WHERE Service = 'Cognito user pool' AND Resource = 'UserAuthentication'"
        )
        calls: Any = {
            "id": "calls",
            "expression": asked,
            "label": "sign-ins that are tried",
            "period": _QUARTER,
            "return_data": True,
        }
        self._of_queries(
            "sign-in-calls",
            "far more sign-ins are tried than people make: somebody guesses passwords; each pool's "
            "own metrics say where (docs/operations.md)",
            [calls],
            threshold=_SIGN_INS,
            periods=(1, 1),
        )

    def _watch_firewall(self, mode: FirewallMode, region: str) -> None:
        """What it refuses; while it only counts, what it would refuse an address for its rate.

        Matches of other rules are no sign then: eight of them count what rightly comes
        (docs/adr/0065). Source: WAF developer guide, "AWS WAF metrics and dimensions".
        """
        blocks = mode == "block"
        known = {
            "WebACL": firewall.METRIC,
            "Rule": "ALL" if blocks else firewall.RATE,
            "Region": region,
        }
        self._alarm(
            "firewall-surge",
            "the firewall refuses (or, in `count`, would refuse) far more than usual: somebody "
            "floods the API, or a rule turns a tenant away (docs/operations.md)",
            Watched(
                metric=("AWS/WAFV2", "BlockedRequests" if blocks else "CountedRequests", "Sum"),
                dimensions={name: pulumi.Output.from_input(value) for name, value in known.items()},
                above=_REFUSED,
            ),
        )

    def _watch_way_in(self, args: AlarmsArgs) -> None:
        """The load balancer's own metrics (source: its guide, "CloudWatch metrics")."""
        balancer = {"LoadBalancer": args.balancer.load_arn_suffix}
        targets = balancer | {"TargetGroup": args.balancer.target_arn_suffix}
        if args.runs:
            self._alarm(
                "service-gone",
                "no task of the service answers: every request of every tenant fails",
                Watched(
                    metric=("AWS/ApplicationELB", "HealthyHostCount", "Minimum"),
                    dimensions=targets,
                    below=1,
                    # With no target left there is no count either.
                    missing_is_wrong=True,
                ),
            )
        self._alarm(
            "balancer-errors",
            "the load balancer itself answers 5xx: it reaches no task, or tasks drop connections",
            Watched(
                metric=("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum"),
                dimensions=balancer,
                above=10,
            ),
        )
        self._alarm(
            "service-errors",
            "the service answers 5xx",
            Watched(
                metric=("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum"),
                dimensions=balancer,
                above=10,
            ),
        )
        self._alarm(
            "service-slow",
            "the service takes seconds to answer",
            Watched(
                metric=("AWS/ApplicationELB", "TargetResponseTime", "Average"),
                dimensions=balancer,
                above=2,
            ),
        )
        self._alarm(
            "service-unhealthy",
            "a task of the service does not answer",
            Watched(
                metric=("AWS/ApplicationELB", "UnHealthyHostCount", "Maximum"),
                dimensions=targets,
                above=0,
            ),
        )

    def _alarm(self, label: str, description: str, watched: Watched) -> None:
        """One alarm: wrong in three of five minutes, in one quarter of an hour, or on a day."""
        namespace, metric_name, statistic = watched.metric
        below = watched.above is None
        period, periods, wrong = _MINUTE, 5, 3
        if watched.at_once:
            period, periods, wrong = _QUARTER, 1, 1
        elif watched.once_a_day:
            period, periods, wrong = _DAY, 1, 1
        self._made[label] = aws.cloudwatch.MetricAlarm(
            f"{self._name}-{label}",
            name=f"cedarfleet-{label}",
            alarm_description=description,
            namespace=namespace,
            metric_name=metric_name,
            statistic=statistic,
            dimensions=watched.dimensions,
            comparison_operator="LessThanThreshold" if below else "GreaterThanThreshold",
            threshold=watched.below if below else watched.above,
            period=period,
            evaluation_periods=periods,
            datapoints_to_alarm=wrong,
            treat_missing_data=watched.missing,
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            opts=self._child,
        )
