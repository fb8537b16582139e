"""The tenant's row of the registry: what the service finds of it by a token's issuer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pulumi
import pulumi_aws as aws
from msgspec import structs

from infra.stacks.config.limits import FEATURES
from service.cedar.binding import bind

if TYPE_CHECKING:
    from infra.policies.files.bundle import PolicyBundle
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.terms import Terms
    from infra.stacks.outputs import PlatformOutputs
    from infra.stacks.tenant_stack.bucket import Bucket
    from infra.stacks.tenant_stack.iot import Iot
    from infra.stacks.tenant_stack.machines import Machines
    from infra.stacks.tenant_stack.policy_store import PolicyStore
    from infra.stacks.tenant_stack.service_role import ServiceRole
    from infra.stacks.tenant_stack.user_pool import UserPool


@dataclass(frozen=True, kw_only=True)
class RegistryRowArgs:
    """The tenant, what its file says and gets, and everything that was made for it."""

    tenant: str
    config: TenantConfig
    terms: Terms
    bundle: PolicyBundle
    platform: PlatformOutputs
    user_pool: UserPool
    machines: Machines
    policy_store: PolicyStore
    iot: Iot
    bucket: Bucket
    service_role: ServiceRole

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the row; the service reads them by these names."""
        return {
            "tenant": self.tenant,
            "display_name": self.config.display_name,
            "status": "SUSPENDED" if self.config.suspended else "ACTIVE",
            "issuer": self.user_pool.issuer,
            "region": self.platform.region,
            "account_id": self.platform.account_id,
            "cell": self.config.cell,
            "jwks_uri": self.user_pool.jwks_uri,
            "sign_in_url": self.user_pool.sign_in_url,
            "client_ids": [
                self.user_pool.client_id,
                self.user_pool.console_client_id,
                self.user_pool.cli_client_id,
                self.user_pool.agent_client_id,
                *self.machines.client_ids.values(),
            ],
            "console_client_id": self.user_pool.console_client_id,
            "cli_client_id": self.user_pool.cli_client_id,
            "agent_client_id": self.user_pool.agent_client_id,
            "policy_store_id": self.policy_store.store_id,
            "policy_names": self.policy_store.policy_names,
            "role_arn": self.service_role.role_arn,
            "thing_group": self.iot.thing_group,
            "bucket": self.bucket.bucket,
            "presign_role_arn": self.bucket.presign_role_arn,
            "commands": self.config.commands,
            "command_rules": {
                name: json.dumps(structs.asdict(rules), sort_keys=True)
                for name, rules in self.config.command_rules.items()
            },
            "groups": {line: self.config.parents_of(line) for line in self.config.lines},
            "templates": self.user_pool.pool_id.apply(self._templates),
            "lists": {key: list(getattr(self.config, key)) for key in ("kinds", "regions", "tags")},
            "budgets": {
                name: {key: str(number) for key, number in structs.asdict(rate).items()}
                for name, rate in structs.asdict(self.terms.within.budget).items()
            },
            "features": {
                name: "yes" if name in self.terms.within.features else "no" for name in FEATURES
            },
            **({} if self.terms.tier is None else {"tier": self.terms.tier}),
        }

    def _templates(self, pool_id: str) -> dict[str, dict[str, str]]:
        """Templates with an end, bound to the pool, of which the service makes grants."""
        return {
            name: {
                "statement": bind(template.statement, tenant=self.tenant, pool_id=pool_id),
                "actions": " ".join(sorted(template.actions)),
            }
            for name, template in self.bundle.lendable.items()
        }

    @property
    def parts(self) -> list[pulumi.Resource]:
        """What must stand before the service may know of the tenant."""
        return [
            self.user_pool,
            self.machines,
            self.policy_store,
            self.iot,
            self.bucket,
            self.service_role,
        ]


class RegistryRow(pulumi.ComponentResource):
    """One item of the registry table, written last: a tenant is known when all of it stands."""

    def __init__(
        self, name: str, args: RegistryRowArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        after = pulumi.ResourceOptions(depends_on=args.parts)
        super().__init__(
            "cedarfleet:tenant:RegistryRow", name, None, pulumi.ResourceOptions.merge(opts, after)
        )
        aws.dynamodb.TableItem(
            f"{name}-row",
            table_name=args.platform.tenants_table,
            hash_key="issuer",
            item=pulumi.Output.all(**args.columns).apply(registry_item),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def registry_item(columns: dict[str, Any]) -> str:
    """The row in DynamoDB's JSON: texts as S, `client_ids` as SS, maps as M of S, L or M of S."""
    item: dict[str, Any] = {}
    for column, value in columns.items():
        if isinstance(value, str):
            item[column] = {"S": value}
        elif isinstance(value, list):
            item[column] = {"SS": sorted(cast("list[str]", value))}
        else:
            item[column] = {"M": {key: _member(held) for key, held in value.items()}}
    return json.dumps(item, sort_keys=True)


def _member(held: str | list[str] | dict[str, str]) -> dict[str, Any]:
    if isinstance(held, dict):
        return {"M": {key: {"S": text} for key, text in held.items()}}
    return {"S": held} if isinstance(held, str) else {"L": [{"S": text} for text in held]}
