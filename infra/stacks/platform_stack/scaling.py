"""How many tasks the service has: by their CPU, and by the requests that each gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig
    from infra.stacks.platform_stack.balancer import Balancer

REQUESTS_A_MINUTE: Final = 4800
"""Of one task: what one tenant may send by its default budget, 80 a second."""
_CPU_PERCENT: Final = 60


def scale(
    name: str,
    config: PlatformConfig,
    balancer: Balancer,
    cluster: aws.ecs.Cluster,
    service: aws.ecs.Service,
    *,
    opts: pulumi.ResourceOptions,
) -> None:
    """Follow two metrics; the one that asks for more tasks decides.

    Source: Application Auto Scaling user guide, "Target tracking scaling policies", "Multiple
    policies".

    Args:
        name: what the logical names begin with.
        config: the least and the most tasks.
        balancer: whose count of requests is followed.
        cluster: in which the service runs.
        service: what is scaled.
        opts: of the resources.
    """
    target = aws.appautoscaling.Target(
        f"{name}-scaling",
        service_namespace="ecs",
        scalable_dimension="ecs:service:DesiredCount",
        resource_id=pulumi.Output.concat("service/", cluster.name, "/", service.name),
        min_capacity=config.tasks_min,
        max_capacity=config.tasks_max,
        opts=opts,
    )
    cpu = {"predefined_metric_type": "ECSServiceAverageCPUUtilization"}
    _follow(target, f"{name}-scaling", "cpu", _CPU_PERCENT, metric=cpu, opts=opts)
    # Requests that wait for AWS use no CPU: where AWS is slow, CPU alone brings no task.
    of_ours = pulumi.Output.concat(balancer.load_arn_suffix, "/", balancer.target_arn_suffix)
    requests = {"predefined_metric_type": "ALBRequestCountPerTarget", "resource_label": of_ours}
    _follow(
        target,
        f"{name}-scaling-requests",
        "requests",
        REQUESTS_A_MINUTE,
        metric=requests,
        opts=opts,
    )


def _follow(
    target: aws.appautoscaling.Target,
    label: str,
    name: str,
    value: float,
    *,
    metric: Any,
    opts: pulumi.ResourceOptions,
) -> None:
    aws.appautoscaling.Policy(
        label,
        name=name,
        policy_type="TargetTrackingScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        target_tracking_scaling_policy_configuration={
            "target_value": value,
            "predefined_metric_specification": metric,
            "scale_in_cooldown": 300,
            "scale_out_cooldown": 30,
        },
        opts=opts,
    )
