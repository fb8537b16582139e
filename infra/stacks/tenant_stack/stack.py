"""A tenant's stack, assembled: read it from top to bottom.

Logical names and type tokens are those of the first release and stay: another one would have AWS
make the resource anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.policies import load
from infra.stacks.config.tenants import check_commands, from_config
from infra.stacks.kept import Kept, keep
from infra.stacks.outputs import PlatformOutputs, TenantOutputs
from infra.stacks.provider import stack_provider, through
from infra.stacks.tenant_stack import user_pool
from infra.stacks.tenant_stack.bucket import Bucket, BucketArgs
from infra.stacks.tenant_stack.iot import Iot, IotArgs
from infra.stacks.tenant_stack.machines import Machines, MachinesArgs
from infra.stacks.tenant_stack.policy_digest import PolicyDigest, PolicyDigestArgs
from infra.stacks.tenant_stack.policy_store import PolicyStore, PolicyStoreArgs
from infra.stacks.tenant_stack.registry_row import RegistryRow, RegistryRowArgs
from infra.stacks.tenant_stack.service_role import ServiceRole, ServiceRoleArgs
from infra.stacks.tenant_stack.telemetry import Telemetry, TelemetryArgs
from infra.stacks.tenant_stack.user_pool import UserPool, UserPoolArgs

if TYPE_CHECKING:
    from pathlib import Path

    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.terms import Terms


def stamp_tenant(
    tenant: str, config: TenantConfig, *, terms: Terms, region: str, root: Path
) -> None:
    """Check the tenant's policies, then make everything that is the tenant's own.

    Args:
        tenant: its id.
        config: its file.
        terms: what its tier and its file give it.
        region: of the stack.
        root: the project's folder.

    Raises:
        PolicyError: a policy is wrong; nothing has been made.
        ConfigError: a command maps to an action that the schema does not have; nothing has been
            made.
    """
    bundle = load(root / "policies", from_config(config, tenant=tenant, root=root))
    check_commands(tenant, config, bundle)
    platform = PlatformOutputs.read(region=region, cell=config.cell)
    kept = Kept(
        key="cedarfleet:tenant.sign_in.domain_prefix",
        asked=config.sign_in.domain_prefix,
        output="sign_in_url",
        reads=user_pool.domain_prefix_of,
        # Pulumi makes the new one before the old one goes (aws/aws-cdk#10062).
        why="Cognito gives a user pool one domain, and apps know the page under it",
        instead="stamp the tenant anew under another id (docs/operations.md)",
    )
    provider = through(stack_provider(region=keep(platform.region, kept), tenant=tenant))

    people = UserPool(
        "identity",
        UserPoolArgs(
            tenant=tenant,
            config=config,
            terms=terms.within,
            region=platform.region,
            service_url=platform.service_url,
            mail=(platform.mail_from, platform.mail_identity),
        ),
        provider,
    )
    machines = Machines("machines", MachinesArgs(config=config, user_pool=people), provider)
    digest = PolicyDigest(
        "digest",
        PolicyDigestArgs(tenant=tenant, bundle=bundle, user_pool=people, platform=platform),
        provider,
    )
    policy_store = PolicyStore(
        "policies",
        PolicyStoreArgs(
            tenant=tenant,
            bundle=bundle,
            digest=digest,
            user_pool=people,
            machines=machines,
            protect=config.protect,
        ),
        provider,
    )
    iot = Iot("fleet", IotArgs(tenant=tenant, config=config, platform=platform), provider)
    bucket = Bucket(
        "artifacts",
        BucketArgs(
            tenant=tenant,
            config=config,
            terms=terms.within,
            arns=platform.arns,
            service_url=platform.service_url,
        ),
        provider,
    )
    Telemetry(
        "telemetry",
        TelemetryArgs(tenant=tenant, terms=terms.within, platform=platform, bucket=bucket),
        provider,
    )
    service_role = ServiceRole(
        "access",
        ServiceRoleArgs(
            tenant=tenant,
            platform=platform,
            policy_store=policy_store,
            bucket=bucket,
            user_pool=people,
        ),
        provider,
    )
    RegistryRow(
        "registry",
        RegistryRowArgs(
            tenant=tenant,
            config=config,
            terms=terms,
            bundle=bundle,
            platform=platform,
            user_pool=people,
            machines=machines,
            policy_store=policy_store,
            iot=iot,
            bucket=bucket,
            service_role=service_role,
        ),
        provider,
    )

    TenantOutputs(
        tenant=tenant,
        issuer=people.issuer,
        user_pool_id=people.pool_id,
        client_id=people.client_id,
        console_client_id=people.console_client_id,
        cli_client_id=people.cli_client_id,
        agent_client_id=people.agent_client_id,
        machine_clients=machines.client_ids,
        machine_secrets=machines.secrets,
        sign_in_url=people.sign_in_url,
        policy_store_id=policy_store.store_id,
        policy_names=policy_store.policy_names,
        thing_group=iot.thing_group,
        bucket=bucket.bucket,
        presign_role_arn=bucket.presign_role_arn,
        role_arn=service_role.role_arn,
    ).export()
