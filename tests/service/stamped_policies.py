"""Policies as a tenant's stack has stamped them: the project's base, or whatever a test says."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.policies import TenantPolicies, load
from service.cedar.policy_set import PolicySet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.policies import PolicyBundle
    from service.cedar.granted import GrantTemplate
    from service.domain.tenants import Tenant

POLICIES: Final = Path(__file__).parents[2] / "policies"
PERMIT_ALL: Final = "permit (principal, action, resource);"


def stamped(tenant: Tenant, **static: str) -> PolicySet:
    """The base with further policies, as the tenant's store holds them."""
    base = _base()
    return PolicySet(
        schema=base.schema, static={**base.static, **static}, templates={}, links=()
    ).bound(tenant=tenant.id, pool_id=tenant.pool_id)


def only(tenant: Tenant, **static: str) -> PolicySet:
    """The schema with these policies and no others."""
    return PolicySet(schema=_base().schema, static=static, templates={}, links=()).bound(
        tenant=tenant.id, pool_id=tenant.pool_id
    )


def lendable() -> Mapping[str, GrantTemplate]:
    """The base's templates with an end, of which grants are made."""
    return _bundle().lendable


@cache
def _bundle() -> PolicyBundle:
    return load(POLICIES, TenantPolicies(tenant="acme"))


def _base() -> PolicySet:
    return _bundle().policy_set
