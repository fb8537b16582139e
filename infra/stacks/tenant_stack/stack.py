"""A tenant's stack, assembled: read it from top to bottom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi

from infra.policies import load
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import from_config
from infra.stacks.outputs import read_platform
from infra.stacks.provider import stack_provider, through
from infra.stacks.tenant_stack.bucket import Artifacts, ArtifactsArgs
from infra.stacks.tenant_stack.iot import Fleet, FleetArgs
from infra.stacks.tenant_stack.machines import Machines, MachinesArgs
from infra.stacks.tenant_stack.policy_store import PolicyStore, PolicyStoreArgs
from infra.stacks.tenant_stack.registry_row import RegistryRow, RegistryRowArgs
from infra.stacks.tenant_stack.service_role import Access, AccessArgs
from infra.stacks.tenant_stack.user_pool import Identity, IdentityArgs

if TYPE_CHECKING:
    from pathlib import Path

    from infra.policies import PolicyBundle
    from infra.stacks.config.tenant import TenantConfig


def stamp_tenant(tenant: str, config: TenantConfig, *, region: str, root: Path) -> None:
    """Check the tenant's policies, then make everything that is the tenant's own.

    Raises:
        PolicyError: a policy is wrong; nothing has been made.
        ConfigError: a command maps to an action that the schema does not have; nothing has been made.
    """
    bundle = load(root / "policies", from_config(config, tenant=tenant, root=root))
    _check_commands(tenant, config, bundle)
    platform = read_platform(region=region)
    provider = stack_provider(region=platform.region, tenant=tenant)

    identity = Identity(
        "identity",
        IdentityArgs(
            tenant=tenant,
            region=platform.region,
            groups=config.groups,
            sign_in=config.sign_in,
            protect=config.protect,
        ),
        through(provider),
    )
    machines = Machines(
        "machines",
        MachinesArgs(
            pool_id=identity.pool_id,
            machines=config.machines,
            token_minutes=config.sign_in.token_minutes,
        ),
        through(provider),
    )
    client_ids = [identity.client_id, *machines.client_ids.values()]
    policies = PolicyStore(
        "policies",
        PolicyStoreArgs(
            tenant=tenant,
            bundle=bundle,
            pool_id=identity.pool_id,
            pool_arn=identity.pool_arn,
            client_ids=client_ids,
            protect=config.protect,
        ),
        through(provider),
    )
    fleet = Fleet(
        "fleet",
        FleetArgs(
            tenant=tenant,
            regions=config.regions,
            lines=config.lines,
            thing_type=platform.thing_type,
            arns=platform.arns,
        ),
        through(provider),
    )
    artifacts = Artifacts(
        "artifacts",
        ArtifactsArgs(
            tenant=tenant,
            arns=platform.arns,
            artifact_days=config.artifact_days,
            protect=config.protect,
        ),
        through(provider),
    )
    access = Access(
        "access",
        AccessArgs(
            tenant=tenant,
            service_role_arn=platform.service_role_arn,
            arns=platform.arns,
            store_id=policies.store_id,
            bucket=artifacts.bucket,
            commands_table=platform.commands_table,
            audit_table=platform.audit_table,
        ),
        through(provider),
    )
    RegistryRow(
        "registry",
        RegistryRowArgs(
            tenants_table=platform.tenants_table,
            tenant=tenant,
            display_name=config.display_name,
            suspended=config.suspended,
            issuer=identity.issuer,
            region=platform.region,
            account_id=platform.account_id,
            jwks_uri=identity.jwks_uri,
            sign_in_url=identity.sign_in_url,
            client_ids=client_ids,
            policy_store_id=policies.store_id,
            policy_names=policies.policy_names,
            role_arn=access.role_arn,
            thing_group=fleet.thing_group,
            bucket=artifacts.bucket,
            presign_role_arn=artifacts.presign_role_arn,
            commands=config.commands,
        ),
        pulumi.ResourceOptions.merge(
            through(provider),
            pulumi.ResourceOptions(
                depends_on=[identity, machines, policies, fleet, artifacts, access]
            ),
        ),
    )

    pulumi.export("tenant", tenant)
    pulumi.export("issuer", identity.issuer)
    pulumi.export("user_pool_id", identity.pool_id)
    pulumi.export("client_id", identity.client_id)
    pulumi.export("machine_clients", machines.client_ids)
    pulumi.export("machine_secrets", machines.secrets)
    pulumi.export("sign_in_url", identity.sign_in_url)
    pulumi.export("policy_store_id", policies.store_id)
    pulumi.export("policy_names", policies.policy_names)
    pulumi.export("thing_group", fleet.thing_group)
    pulumi.export("provisioning_template", fleet.template)
    pulumi.export("bucket", artifacts.bucket)
    pulumi.export("presign_role_arn", artifacts.presign_role_arn)
    pulumi.export("role_arn", access.role_arn)


def _check_commands(tenant: str, config: TenantConfig, bundle: PolicyBundle) -> None:
    actions: set[str] = set(json.loads(bundle.schema_json)["Fleet"]["actions"])
    for command, action in config.commands.items():
        if action not in actions:
            raise ConfigError(
                f"tenants/Pulumi.{tenant}.yaml: cedarfleet:tenant.commands.{command}: "
                f"the schema has no action `{action}`; it has {', '.join(sorted(actions))}"
            )
