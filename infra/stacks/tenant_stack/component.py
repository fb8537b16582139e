"""What a tenant gets, as one component: of this project's program, and of a program of others.

Its arguments are plain types, and its annotations are types and no texts (this module has no
``from __future__ import annotations``): from them Pulumi infers the schema of
``cedarfleet:index:Tenant`` (source: pulumi.com/docs, "Build a Component").
"""

from typing import Final

import pulumi

from infra.stacks.outputs import PlatformOutputs
from infra.stacks.tenant_stack.bucket import Bucket, BucketArgs
from infra.stacks.tenant_stack.iot import Iot, IotArgs
from infra.stacks.tenant_stack.machines import Machines, MachinesArgs
from infra.stacks.tenant_stack.policy_digest import PolicyDigest, PolicyDigestArgs
from infra.stacks.tenant_stack.policy_store import PolicyStore, PolicyStoreArgs
from infra.stacks.tenant_stack.registry_row import RegistryRow, RegistryRowArgs
from infra.stacks.tenant_stack.service_role import ServiceRole, ServiceRoleArgs
from infra.stacks.tenant_stack.telemetry import Telemetry, TelemetryArgs
from infra.stacks.tenant_stack.user_pool import UserPool, UserPoolArgs
from infra.stacks.tenant_stack.wanted import TenantArgs, wanted

_KIND: Final = "cedarfleet:index:Tenant"


class Tenant(pulumi.ComponentResource):
    """A tenant: policy store, user pool, thing group, files, rows, and the role that reaches them.

    Logical names and type tokens of what is in it are those of the first release and stay: another
    one would have AWS make the resource anew. Each was at the top of the stack before there was
    this component, which its alias says.
    """

    issuer: pulumi.Output[str]
    """Of the tokens of its people and machines."""
    user_pool_id: pulumi.Output[str]
    """Of its people."""
    client_id: pulumi.Output[str]
    """Of the app that people sign in with."""
    console_client_id: pulumi.Output[str]
    """Of the console."""
    cli_client_id: pulumi.Output[str]
    """Of the command line."""
    agent_client_id: pulumi.Output[str]
    """Of agents that act for people."""
    machine_clients: pulumi.Output[dict[str, str]]
    """Machine -> client id."""
    machine_secrets: pulumi.Output[dict[str, str]]
    """Machine -> client secret; a secret output."""
    sign_in_url: pulumi.Output[str]
    """Of its sign-in page."""
    policy_store_id: pulumi.Output[str]
    """Of its policies."""
    policy_names: pulumi.Output[dict[str, str]]
    """Id of a stamped policy -> our name of it."""
    thing_group: pulumi.Output[str]
    """Of all its devices."""
    bucket: pulumi.Output[str]
    """Of its files."""
    presign_role_arn: pulumi.Output[str]
    """With which IoT Jobs signs download URLs."""
    role_arn: pulumi.Output[str]
    """With which the service acts for it."""

    def __init__(
        self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Check all that is asked for, then make it.

        Args:
            name: logical name of the component; those of its children do not depend on it, so a
                stack has one tenant.
            args: what is asked for.
            opts: with a provider of `args["region"]`.

        Raises:
            ConfigError: a key of the configuration, and what would be right; nothing has been made.
            PolicyError: a policy is wrong; nothing has been made.
        """
        asked = wanted(args)
        super().__init__(_KIND, name, None, opts)
        tenant, config, terms = asked.tenant, asked.config, asked.terms
        child = pulumi.ResourceOptions(parent=self, aliases=[pulumi.Alias(parent=None)])
        platform = PlatformOutputs.known(args["platform"], region=args["region"], cell=config.cell)

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
            child,
        )
        machines = Machines("machines", MachinesArgs(config=config, user_pool=people), child)
        digest = PolicyDigest(
            "digest",
            PolicyDigestArgs(
                tenant=tenant, bundle=asked.bundle, user_pool=people, platform=platform
            ),
            child,
        )
        policy_store = PolicyStore(
            "policies",
            PolicyStoreArgs(
                tenant=tenant,
                bundle=asked.bundle,
                digest=digest,
                user_pool=people,
                machines=machines,
                protect=config.protect,
            ),
            child,
        )
        iot = Iot("fleet", IotArgs(tenant=tenant, config=config, platform=platform), child)
        bucket = Bucket(
            "artifacts",
            BucketArgs(
                tenant=tenant,
                config=config,
                terms=terms.within,
                arns=platform.arns,
                service_url=platform.service_url,
            ),
            child,
        )
        Telemetry(
            "telemetry",
            TelemetryArgs(tenant=tenant, terms=terms.within, platform=platform, bucket=bucket),
            child,
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
            child,
        )
        RegistryRow(
            "registry",
            RegistryRowArgs(
                tenant=tenant,
                config=config,
                terms=terms,
                bundle=asked.bundle,
                platform=platform,
                user_pool=people,
                machines=machines,
                policy_store=policy_store,
                iot=iot,
                bucket=bucket,
                service_role=service_role,
            ),
            child,
        )

        self.issuer = people.issuer
        self.user_pool_id = people.pool_id
        self.client_id = people.client_id
        self.console_client_id = people.console_client_id
        self.cli_client_id = people.cli_client_id
        self.agent_client_id = people.agent_client_id
        # `all` of nothing is a list.
        self.machine_clients = pulumi.Output.all(**machines.client_ids).apply(dict)
        self.machine_secrets = machines.secrets
        self.sign_in_url = people.sign_in_url
        self.policy_store_id = policy_store.store_id
        self.policy_names = policy_store.policy_names
        self.thing_group = iot.thing_group
        self.bucket = bucket.bucket
        self.presign_role_arn = bucket.presign_role_arn
        self.role_arn = service_role.role_arn
        self.register_outputs({})
