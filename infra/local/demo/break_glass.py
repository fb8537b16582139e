"""Lends somebody a device for a while, as a tenant's grant would: one template, one link."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.policies import Grant, TenantPolicies, load
from service.cedar.binding import bind, bind_uid

if TYPE_CHECKING:
    from pathlib import Path

    from service.cedar.values import EntityUid


def lend(
    permissions: Any,
    root: Path,
    *,
    store_id: str,
    tenant: str,
    pool_id: str,
    person: str,
    device: str,
    until: datetime,
) -> str:
    """Link the template `break-glass` in the tenant's store and return the id of the linked policy.

    Args:
        permissions: a boto3 client of `verifiedpermissions`.
        root: the project's folder `policies`.
        store_id: the tenant's policy store.
        tenant: tenant id.
        pool_id: the tenant's user pool.
        person: `sub` of a person of that pool.
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
    bundle = load(root, TenantPolicies(tenant=tenant, grants=(grant,)))
    [template], [link] = bundle.templates, bundle.links

    def bound(entity: EntityUid) -> dict[str, str]:
        named = bind_uid(entity, tenant=tenant, pool_id=pool_id)
        return {"entityType": named.type, "entityId": named.id}

    made = permissions.create_policy_template(
        policyStoreId=store_id,
        statement=bind(template.statement, tenant=tenant, pool_id=pool_id),
        description=f"break-glass until {until:%Y-%m-%d %H:%M:%S}Z",
    )
    linked = {
        "policyTemplateId": made["policyTemplateId"],
        "principal": bound(link.principal),
        "resource": bound(link.resource),
    }
    policy = permissions.create_policy(
        policyStoreId=store_id, definition={"templateLinked": linked}
    )
    return str(policy["policyId"])
