"""The digest that the tenant's policy store is to have, told before the store is changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from service.cedar.digest import policies_digest

if TYPE_CHECKING:
    from infra.policies.files.bundle import PolicyBundle
    from infra.stacks.outputs import PlatformOutputs
    from infra.stacks.tenant_stack.user_pool import UserPool


@dataclass(frozen=True, kw_only=True)
class PolicyDigestArgs:
    """The tenant, its checked policies, the pool that they are bound to, and the registry."""

    tenant: str
    bundle: PolicyBundle
    user_pool: UserPool
    platform: PlatformOutputs


class PolicyDigest(pulumi.ComponentResource):
    """A row of the registry beside the tenant's own, which is written last.

    The service uses no copy of the store with another digest than this (docs/adr/0025). So the row
    comes before every change of the store: from then on nobody reads by what was before.
    """

    def __init__(
        self, name: str, args: PolicyDigestArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:PolicyDigest", name, None, opts)

        def digest(pool_id: str) -> str:
            policies = args.bundle.policy_set.bound(tenant=args.tenant, pool_id=pool_id)
            return policies_digest(policies)

        aws.dynamodb.TableItem(
            f"{name}-row",
            table_name=args.platform.tenants_table,
            hash_key="issuer",
            item=pulumi.Output.all(
                args.user_pool.issuer, args.user_pool.pool_id.apply(digest)
            ).apply(lambda known: digest_item(issuer=known[0], digest=known[1])),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def digest_item(*, issuer: str, digest: str) -> str:
    """The row in DynamoDB's JSON; it names no tenant, so that the index finds the other alone."""
    item = {"issuer": {"S": f"policies of {issuer}"}, "digest": {"S": digest}}
    return json.dumps(item, sort_keys=True)
