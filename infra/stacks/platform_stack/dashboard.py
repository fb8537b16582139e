"""One dashboard of the platform, on which a tenant is chosen: a variable, and not a dashboard each.

The metrics have no tenant among their dimensions (`service/ports/metrics.py`: its number has no
bound, and each would cost $0.30 a month); what is of one tenant is asked of the log, whose lines
name it. Source of the form: CloudWatch API reference, "Dashboard body structure and syntax"; of a
variable of type `pattern`: the same, "Dashboard variable object".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from infra import names

if TYPE_CHECKING:
    from infra.stacks.platform_stack.balancer import Balancer
    from infra.stacks.platform_stack.service import Service
    from infra.stacks.platform_stack.work import Work

TENANT: Final = "THE-TENANT"
"""What stands in each query for the tenant that is chosen."""
_WIDTH: Final = 12  # of 24 columns
_HEIGHT: Final = 6
_MINUTE: Final = 60


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """What is shown: the way in, the queue, and the log."""

    region: str
    balancer: Balancer
    work: Work
    service: Service


class Dashboard(pulumi.ComponentResource):
    """The dashboard `cedarfleet`."""

    def __init__(
        self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Dashboard", name, None, opts)
        aws.cloudwatch.Dashboard(
            f"{name}-board",
            dashboard_name="cedarfleet",
            dashboard_body=pulumi.Output.all(
                balancer=args.balancer.load_arn_suffix,
                queue=args.work.queue.name,
                log_group=args.service.log_group,
            ).apply(lambda known: json.dumps(body(region=args.region, **known))),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def body(*, region: str, balancer: str, queue: str, log_group: str) -> dict[str, Any]:
    """The dashboard's body.

    Args:
        region: AWS region.
        balancer: the load balancer's dimension.
        queue: name of the work queue.
        log_group: of service and worker.
    """
    ours = names.SERVICE_METRICS
    graphs: dict[str, list[list[str]]] = {
        "requests and errors": [
            ["AWS/ApplicationELB", name, "LoadBalancer", balancer]
            for name in (
                "RequestCount",
                "HTTPCode_Target_5XX_Count",
                "HTTPCode_ELB_5XX_Count",
                "HTTPCode_Target_4XX_Count",
            )
        ],
        "work that waits": [
            ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue],
        ],
        "what callers are refused": [
            [ours, names.PROBLEMS, "problem", one]
            for one in ("permission-denied", "unauthenticated", "over-budget", "over-share")
        ],
        "decisions": [[ours, names.DECISIONS, "outcome", one] for one in ("allowed", "denied")],
        "devices that come and go": [
            [ours, names.HAPPENED, "event", event, "how", how]
            for event, how in (
                ("device.connected", "done"),
                ("device.disconnected", "ended"),
                ("device.disconnected", "lost"),
            )
        ],
        "deliveries": [
            [ours, names.HAPPENED, "event", "delivery.state", "how", how]
            for how in ("succeeded", "failed", "rejected", "timed-out")
        ],
    }
    asked = {
        "requests of the tenant, by route and status": (
            "event = 'request.done'",
            "stats count(*), pct(milliseconds, 99) by route, status | sort route",
        ),
        "what the tenant was refused, and why": (
            "event = 'request.done' and status >= 400",
            "stats count(*) by problem, route | sort problem",
        ),
    }
    widgets = [
        _widget(
            index,
            "metric",
            {
                "title": title,
                "region": region,
                "view": "timeSeries",
                "stat": "Sum",
                "period": _MINUTE,
                "metrics": metrics,
            },
        )
        for index, (title, metrics) in enumerate(graphs.items())
    ]
    widgets += [
        _widget(
            len(graphs) + index,
            "log",
            {
                "title": title,
                "region": region,
                "view": "table",
                "query": f"SOURCE '{log_group}' | filter tenant = '{TENANT}' and {which} | {what}",
            },
        )
        for index, (title, (which, what)) in enumerate(asked.items())
    ]
    return {"variables": [_variable()], "widgets": widgets}


def _variable() -> dict[str, Any]:
    return {
        "type": "pattern",
        "pattern": TENANT,
        "inputType": "input",
        "id": "tenant",
        "label": "tenant",
        "defaultValue": TENANT.lower(),
        "visible": True,
    }


def _widget(index: int, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "x": index % 2 * _WIDTH,
        "y": index // 2 * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": properties,
    }
