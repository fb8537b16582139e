"""The policies of a tenant: read from files, checked, bound to its user pool, compared with what is deployed."""

from infra.policies.binding import bind, bind_entity
from infra.policies.bundle import (
    Entity,
    Grant,
    Link,
    PolicyBundle,
    PolicyError,
    Problem,
    StaticPolicy,
    Template,
    TenantPolicies,
)
from infra.policies.load import load

__all__ = [
    "Entity",
    "Grant",
    "Link",
    "PolicyBundle",
    "PolicyError",
    "Problem",
    "StaticPolicy",
    "Template",
    "TenantPolicies",
    "bind",
    "bind_entity",
    "load",
]
