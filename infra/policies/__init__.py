"""The policies of a tenant: read from files, checked, tested by cases, compared with the store's.

``files`` reads and checks them, ``cases`` tests them, ``store`` reads what is deployed and orders
its update, ``comparison`` says which decisions a change flips. What Cedar sees stands in
``service.cedar``.
"""

from infra.policies.files.bundle import (
    Grant,
    PolicyBundle,
    PolicyError,
    StaticPolicy,
    Template,
    TenantPolicies,
)
from infra.policies.files.grants import known_entity
from infra.policies.files.load import load
from service.cedar.entities import ROOT_GROUP
from service.cedar.group_tree import MAX_ANCESTORS, CircularGroupsError, too_many

__all__ = [
    "MAX_ANCESTORS",
    "ROOT_GROUP",
    "CircularGroupsError",
    "Grant",
    "PolicyBundle",
    "PolicyError",
    "StaticPolicy",
    "Template",
    "TenantPolicies",
    "known_entity",
    "load",
    "too_many",
]
