"""Lends somebody a device for a while, as a tenant's grant would: one template, one link."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.policies import Grant, TenantPolicies, load
from infra.policies.store import deployed
from infra.stacks.tenant_stack.policy_digest import digest_item
from service.cedar.binding import bind, bind_uid
from service.cedar.digest import policies_digest
from service.cedar.policy_set import Link

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud


@dataclass(frozen=True, kw_only=True)
class Lender:
    """Where the tenant's policies are.

    Attributes:
        cloud: with the tenant's store.
        root: the project's folder `policies`.
        registry: the table of tenants.
        tenant: tenant id.
        issuer: of the tenant's user pool.
        store_id: the tenant's policy store.
    """

    cloud: EmbeddedCloud
    root: Path
    registry: str
    tenant: str
    issuer: str
    store_id: str

    def lend(self, *, person: str, device: str, until: datetime) -> str:
        """Link the template `break-glass` in the store and return the id of the linked policy.

        Args:
            person: `sub` of a person of the tenant's pool.
            device: id of the device.
            until: when it ends; it begins two hours before.

        Raises:
            PolicyError: the grant is none that could be stamped.
        """
        grant = Grant(
            id=f"break-glass-{device}",
            template="break-glass",
            principal=f'Fleet::User::"{person}"',
            resource=f'Fleet::Device::"{device}"',
            until=until.astimezone(UTC),
        )
        pool_id = self.issuer.rsplit("/", 1)[1]
        bundle = load(self.root, TenantPolicies(tenant=self.tenant, grants=(grant,)))
        [template], [link] = bundle.templates, bundle.links
        permissions: Any = self.cloud.client("verifiedpermissions")
        statement = bind(template.statement, tenant=self.tenant, pool_id=pool_id)
        made = permissions.create_policy_template(
            policyStoreId=self.store_id,
            statement=statement,
            description=f"break-glass until {until:%Y-%m-%d %H:%M:%S}Z",
        )["policyTemplateId"]
        bound = Link(
            id=grant.id,
            template=made,
            principal=bind_uid(link.principal, tenant=self.tenant, pool_id=pool_id),
            resource=bind_uid(link.resource, tenant=self.tenant, pool_id=pool_id),
        )
        self._tell(made, statement, bound)
        definition = {
            "policyTemplateId": made,
            "principal": {"entityType": bound.principal.type, "entityId": bound.principal.id},
            "resource": {"entityType": bound.resource.type, "entityId": bound.resource.id},
        }
        policy = permissions.create_policy(
            policyStoreId=self.store_id, definition={"templateLinked": definition}
        )
        return str(policy["policyId"])

    def _tell(self, template: str, statement: str, link: Link) -> None:
        """Say what the store is about to hold, so that no copy without the grant is used."""
        held = deployed.read(self.cloud.client("verifiedpermissions"), self.store_id)
        to_be = replace(
            held, templates={**held.templates, template: statement}, links=(*held.links, link)
        )
        row = digest_item(issuer=self.issuer, digest=policies_digest(to_be))
        self.cloud.client("dynamodb").put_item(TableName=self.registry, Item=json.loads(row))
