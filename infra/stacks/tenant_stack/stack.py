"""A tenant's stack: its provider, the tenant, and what the stack says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.stacks.kept import Kept, keep
from infra.stacks.outputs import PlatformOutputs, TenantOutputs
from infra.stacks.provider import stack_provider, through
from infra.stacks.tenant_stack import user_pool
from infra.stacks.tenant_stack.component import Tenant
from infra.stacks.tenant_stack.wanted import TenantArgs, wanted

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def stamp_tenant(
    tenant: str, config: dict[str, Any], *, tiers: dict[str, Any], region: str, root: Path
) -> None:
    """Check all that the tenant's file asks for, then make everything that is the tenant's own.

    Args:
        tenant: its id.
        config: what its file says.
        tiers: what the platform's file says of them.
        region: of the stack.
        root: the project's folder.

    Raises:
        ConfigError: file, key and what would be right; nothing has been made.
        PolicyError: a policy is wrong; nothing has been made.
    """
    asked: TenantArgs = {
        "tenant": tenant,
        "config": config,
        "region": region,
        "platform": {},
        "tiers": tiers,
        "project": str(root),
    }
    known = wanted(asked).config
    platform = PlatformOutputs.read(region=region, cell=known.cell)
    kept = Kept(
        key="cedarfleet:tenant.sign_in.domain_prefix",
        asked=known.sign_in.domain_prefix,
        output="sign_in_url",
        reads=user_pool.domain_prefix_of,
        # Pulumi makes the new one before the old one goes (aws/aws-cdk#10062).
        why="Cognito gives a user pool one domain, and apps know the page under it",
        instead="stamp the tenant anew under another id (docs/operations.md)",
    )
    provider = stack_provider(region=keep(platform.region, kept), tenant=tenant)
    made = Tenant("tenant", {**asked, "platform": platform.as_mapping()}, through(provider))
    TenantOutputs(
        tenant=tenant,
        issuer=made.issuer,
        user_pool_id=made.user_pool_id,
        client_id=made.client_id,
        console_client_id=made.console_client_id,
        cli_client_id=made.cli_client_id,
        agent_client_id=made.agent_client_id,
        machine_clients=made.machine_clients,
        machine_secrets=made.machine_secrets,
        sign_in_url=made.sign_in_url,
        policy_store_id=made.policy_store_id,
        policy_names=made.policy_names,
        thing_group=made.thing_group,
        bucket=made.bucket,
        presign_role_arn=made.presign_role_arn,
        role_arn=made.role_arn,
    ).export()
