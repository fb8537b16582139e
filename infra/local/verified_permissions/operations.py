"""Every operation of the API: its function, the IAM action that allows it, and on what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import aliases, authorizing, identity_sources, policies, policy_stores, schemas, templates
from .call import ALIAS_PREFIX, Caller, Operation, find_store
from .records import store_arn
from .state import State

Resources = Callable[[State, Caller, Mapping[str, Any]], list[str | None]]


@dataclass(frozen=True)
class Entry:
    """One operation.

    Attributes:
        run: does it.
        resources: the ARNs that the caller must be allowed; None stands for no particular resource.
        iam_action: when it is not the operation's own name.
    """

    run: Operation
    resources: Resources
    iam_action: str | None = None


def _no_resource(_state: State, _caller: Caller, _request: Mapping[str, Any]) -> list[str | None]:
    return [None]


def _store(state: State, caller: Caller, request: Mapping[str, Any]) -> list[str | None]:
    return [_store_of(state, caller, request.get("policyStoreId"))]


def _stores(state: State, caller: Caller, request: Mapping[str, Any]) -> list[str | None]:
    """Each store of a batch; at least one decision, so that an empty batch is not a way around."""
    items: Any = request.get("requests")
    if not isinstance(items, list) or not items:
        return [None]
    names: list[Any] = [
        item.get("policyStoreId") if isinstance(item, dict) else None for item in items
    ]
    return list(dict.fromkeys(_store_of(state, caller, name) for name in names))


def _alias(_state: State, caller: Caller, request: Mapping[str, Any]) -> list[str | None]:
    name = request.get("aliasName")
    if not isinstance(name, str):
        return [None]
    return [f"arn:aws:verifiedpermissions:{caller.region}:{caller.account_id}:{name}"]


def _alias_and_store(state: State, caller: Caller, request: Mapping[str, Any]) -> list[str | None]:
    return [*_alias(state, caller, request), *_store(state, caller, request)]


def _tagged(_state: State, _caller: Caller, request: Mapping[str, Any]) -> list[str | None]:
    arn = request.get("resourceArn")
    return [arn if isinstance(arn, str) else None]


def _store_of(state: State, caller: Caller, name: object) -> str | None:
    """An alias stands for its store: whoever may not use one may not use the other."""
    if not isinstance(name, str):
        return None
    found = find_store(state, caller, name) if name.startswith(ALIAS_PREFIX) else None
    return store_arn(caller.account_id, found.id if found is not None else name)


OPERATIONS: Final[Mapping[str, Entry]] = {
    "BatchGetPolicy": Entry(policies.batch_get_policy, _stores, "GetPolicy"),
    "BatchIsAuthorized": Entry(authorizing.batch_is_authorized, _store, "IsAuthorized"),
    "BatchIsAuthorizedWithToken": Entry(
        authorizing.batch_is_authorized_with_token, _store, "IsAuthorizedWithToken"
    ),
    "CreateIdentitySource": Entry(identity_sources.create_identity_source, _store),
    "CreatePolicy": Entry(policies.create_policy, _store),
    "CreatePolicyStore": Entry(policy_stores.create_policy_store, _no_resource),
    "CreatePolicyStoreAlias": Entry(aliases.create_policy_store_alias, _alias_and_store),
    "CreatePolicyTemplate": Entry(templates.create_policy_template, _store),
    "DeleteIdentitySource": Entry(identity_sources.delete_identity_source, _store),
    "DeletePolicy": Entry(policies.delete_policy, _store),
    "DeletePolicyStore": Entry(policy_stores.delete_policy_store, _store),
    "DeletePolicyStoreAlias": Entry(aliases.delete_policy_store_alias, _alias),
    "DeletePolicyTemplate": Entry(templates.delete_policy_template, _store),
    "GetIdentitySource": Entry(identity_sources.get_identity_source, _store),
    "GetPolicy": Entry(policies.get_policy, _store),
    "GetPolicyStore": Entry(policy_stores.get_policy_store, _store),
    "GetPolicyStoreAlias": Entry(aliases.get_policy_store_alias, _alias),
    "GetPolicyTemplate": Entry(templates.get_policy_template, _store),
    "GetSchema": Entry(schemas.get_schema, _store),
    "IsAuthorized": Entry(authorizing.is_authorized, _store),
    "IsAuthorizedWithToken": Entry(authorizing.is_authorized_with_token, _store),
    "ListIdentitySources": Entry(identity_sources.list_identity_sources, _store),
    "ListPolicies": Entry(policies.list_policies, _store),
    "ListPolicyStoreAliases": Entry(aliases.list_policy_store_aliases, _no_resource),
    "ListPolicyStores": Entry(policy_stores.list_policy_stores, _no_resource),
    "ListPolicyTemplates": Entry(templates.list_policy_templates, _store),
    "ListTagsForResource": Entry(policy_stores.list_tags_for_resource, _tagged),
    "PutSchema": Entry(schemas.put_schema, _store),
    "TagResource": Entry(policy_stores.tag_resource, _tagged),
    "UntagResource": Entry(policy_stores.untag_resource, _tagged),
    "UpdateIdentitySource": Entry(identity_sources.update_identity_source, _store),
    "UpdatePolicy": Entry(policies.update_policy, _store),
    "UpdatePolicyStore": Entry(policy_stores.update_policy_store, _store),
    "UpdatePolicyTemplate": Entry(templates.update_policy_template, _store),
}
