"""The policies of a tenant: read from files, checked, bound to its user pool, compared with what is deployed."""

from infra.policies.bundle import (
    Grant,
    PolicyBundle,
    PolicyError,
    StaticPolicy,
    Template,
    TenantPolicies,
)
from infra.policies.load import load

__all__ = [
    "Grant",
    "PolicyBundle",
    "PolicyError",
    "StaticPolicy",
    "Template",
    "TenantPolicies",
    "load",
]
