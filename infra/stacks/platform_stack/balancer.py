"""The load balancer: TLS with a certificate proven by DNS; plain HTTP is redirected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from infra.stacks.platform_stack.certificate import proven_certificate
from infra.stacks.platform_stack.network import SERVICE_PORT, Network

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig
    from infra.stacks.platform_stack.access_logs import AccessLogs

# TLS 1.3 and 1.2 with forward secrecy (source: Elastic Load Balancing, security policies).
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"

# Seconds. What the service must agree with stands in tests/agreement/test_numbers.py.
IDLE_SECONDS: Final = 60
DEREGISTRATION_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class BalancerArgs:
    """What the file says of host, zone and deletion, its network, and where it logs, if it does."""

    config: PlatformConfig
    network: Network
    access_logs: AccessLogs | None


class Balancer(pulumi.ComponentResource):
    """Application load balancer, certificate, listeners, DNS name."""

    arn: pulumi.Output[str]
    url: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    load_arn_suffix: pulumi.Output[str]
    target_arn_suffix: pulumi.Output[str]
    certificate_arn: pulumi.Output[str]
    https_listener: aws.lb.Listener

    def __init__(
        self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Balancer", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.certificate_arn = proven_certificate(
            name,
            host=args.config.domain_name,
            zone_id=args.config.hosted_zone_id,
            opts=self._child,
        )
        balancer = self._balancer(name, args)
        targets = self._targets(name, args)
        self.https_listener = self._listen(name, balancer, targets, self.certificate_arn)
        aws.route53.Record(
            f"{name}-name",
            zone_id=args.config.hosted_zone_id,
            name=args.config.domain_name,
            type="A",
            aliases=[
                {
                    "name": balancer.dns_name,
                    "zone_id": balancer.zone_id,
                    "evaluate_target_health": True,
                }
            ],
            opts=self._child,
        )
        self.url = pulumi.Output.from_input(f"https://{args.config.domain_name}")
        self.arn = balancer.arn
        self.target_group_arn = targets.arn
        self.load_arn_suffix = balancer.arn_suffix
        self.target_arn_suffix = targets.arn_suffix
        self.register_outputs({"url": self.url})

    def _balancer(self, name: str, args: BalancerArgs) -> aws.lb.LoadBalancer:
        logs = args.access_logs
        return aws.lb.LoadBalancer(
            f"{name}-balancer",
            name="cedarfleet",
            load_balancer_type="application",
            internal=False,
            security_groups=[args.network.balancer_security_group_id],
            subnets=args.network.public_subnet_ids,
            drop_invalid_header_fields=True,
            enable_deletion_protection=args.config.protect,
            idle_timeout=IDLE_SECONDS,
            access_logs=None if logs is None else {"bucket": logs.bucket, "enabled": True},
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    # ELB tries to write as the logs are switched on.
                    depends_on=[args.network.way_in, *([] if logs is None else [logs.written])]
                ),
            ),
        )

    def _targets(self, name: str, args: BalancerArgs) -> aws.lb.TargetGroup:
        return aws.lb.TargetGroup(
            f"{name}-targets",
            name="cedarfleet-service",
            vpc_id=args.network.vpc_id,
            port=SERVICE_PORT,
            protocol="HTTP",
            target_type="ip",
            deregistration_delay=DEREGISTRATION_SECONDS,
            # Live, not ready: a failing DynamoDB would make every task unready, and ECS would
            # replace them all for it.
            health_check={
                "path": "/health/live",
                "interval": 15,
                "healthy_threshold": 2,
                "matcher": "200",
            },
            opts=self._child,
        )

    def _listen(
        self,
        name: str,
        balancer: aws.lb.LoadBalancer,
        targets: aws.lb.TargetGroup,
        certificate_arn: pulumi.Output[str],
    ) -> aws.lb.Listener:
        https = aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=_TLS_POLICY,
            certificate_arn=certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._child,
        )
        aws.lb.Listener(
            f"{name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "redirect",
                    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
                }
            ],
            opts=self._child,
        )
        return https
