"""The one place where a tenant stack reads the platform stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra import names
from infra.stacks.config.reading import ConfigError


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What a tenant needs to know of the platform; every value is an output of its stack.

    Attributes:
        region: the platform's region, proven equal to this stack's.
        account_id: twelve digits.
        tenants_table: where the registry row goes.
        commands_table: shared table that the tenant's role reaches its own rows of.
        audit_table: the same for the audit trail.
        service_role_arn: who may assume the tenant's role.
        thing_type: type of every device.
    """

    region: pulumi.Output[str]
    account_id: pulumi.Output[str]
    tenants_table: pulumi.Output[str]
    commands_table: pulumi.Output[str]
    audit_table: pulumi.Output[str]
    service_role_arn: pulumi.Output[str]
    thing_type: pulumi.Output[str]

    @property
    def arns(self) -> pulumi.Output[names.Arns]:
        """Builder of ARNs of this account and region."""
        return pulumi.Output.all(self.region, self.account_id).apply(
            lambda known: names.Arns(region=known[0], account_id=known[1])
        )


def read_platform(*, region: str) -> Platform:
    """The platform stack's outputs, as known after its last `up`.

    Args:
        region: this stack's region. Another one than the platform's fails every resource of the stack before it is
            made, since the provider waits for the answer.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{names.PLATFORM_STACK}"
    reference = pulumi.StackReference("platform", stack_name=stack)

    def same_region(platform_region: str) -> str:
        if platform_region != region:
            raise ConfigError(
                f"tenants/Pulumi.{pulumi.get_stack()}.yaml: aws:region: must be the platform's region "
                f"`{platform_region}`, is `{region}`"
            )
        return platform_region

    return Platform(
        region=reference.require_output("region").apply(same_region),
        account_id=reference.require_output("account_id"),
        tenants_table=reference.require_output("tenants_table"),
        commands_table=reference.require_output("commands_table"),
        audit_table=reference.require_output("audit_table"),
        service_role_arn=reference.require_output("service_role_arn"),
        thing_type=reference.require_output("thing_type"),
    )
