"""The platform stack, assembled: read it from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.stacks.platform_stack.alarms import Observability, ObservabilityArgs
from infra.stacks.platform_stack.balancer import Balancer, BalancerArgs
from infra.stacks.platform_stack.iot import Fleet, FleetArgs
from infra.stacks.platform_stack.network import Network, NetworkArgs
from infra.stacks.platform_stack.service import Api, ApiArgs
from infra.stacks.platform_stack.tables import Tables, TablesArgs
from infra.stacks.provider import stack_provider, through

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig


def stamp_platform(config: PlatformConfig, *, region: str) -> None:
    """Make what all tenants share, and export what their stacks need to know of it."""
    provider = stack_provider(region=region, tenant="none")
    account_id = aws.get_caller_identity_output(
        opts=pulumi.InvokeOutputOptions(provider=provider)
    ).account_id

    tables = Tables("tables", TablesArgs(protect=config.protect), through(provider))
    fleet = Fleet(
        "fleet",
        FleetArgs(
            commands_table=tables.commands.name,
            commands_arn=tables.commands.arn,
            account_id=account_id,
        ),
        through(provider),
    )
    network = Network(
        "network",
        NetworkArgs(cidr=config.cidr, availability_zones=config.availability_zones, region=region),
        through(provider),
    )
    balancer = Balancer(
        "balancer",
        BalancerArgs(
            domain_name=config.domain_name,
            hosted_zone_id=config.hosted_zone_id,
            network=network,
            protect=config.protect,
        ),
        through(provider),
    )
    api = Api(
        "api",
        ApiArgs(
            region=region,
            account_id=account_id,
            image_tag=config.image_tag,
            network=network,
            balancer=balancer,
            tables=tables,
            tasks_min=config.tasks_min,
            tasks_max=config.tasks_max,
            log_days=config.log_days,
            protect=config.protect,
        ),
        through(provider),
    )
    alarms = Observability(
        "alarms",
        ObservabilityArgs(balancer=balancer, status_errors_queue=fleet.errors.name),
        through(provider),
    )

    pulumi.export("region", region)
    pulumi.export("account_id", account_id)
    pulumi.export("tenants_table", tables.tenants.name)
    pulumi.export("commands_table", tables.commands.name)
    pulumi.export("audit_table", tables.audit.name)
    pulumi.export("thing_type", fleet.thing_type)
    pulumi.export("status_errors_queue", fleet.errors.url)
    pulumi.export("service_role_arn", api.role_arn)
    pulumi.export("service_url", balancer.url)
    pulumi.export("image_repository", api.repository_url)
    pulumi.export("log_group", api.log_group)
    pulumi.export("alarms_topic_arn", alarms.topic_arn)
