"""Operations on policy store aliases: other names by which a store may be called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from .call import ALIAS_PREFIX, Call
from .errors import ConflictError, Field, InvalidInputError, NotFoundError, QuotaExceededError
from .pages import page
from .records import Alias, alias_key

MAX_ALIASES: Final = 10  # per store
_USUAL_PAGE: Final = 5


def create_policy_store_alias(call: Call) -> dict[str, Any]:
    """CreatePolicyStoreAlias: the same name for the same store again changes nothing."""
    name = _checked(call.request["aliasName"])
    if call.request["policyStoreId"].startswith(ALIAS_PREFIX):
        raise InvalidInputError(
            Field("/policyStoreId", "An alias is given to a policy store by its ID.")
        )
    store = call.store()
    held = _held(call, name)
    if held is not None:
        if held.store != store.id or held.state != "Active":
            raise ConflictError(
                "The policy store alias already exists.",
                resource_id=name,
                resource_type="POLICY_STORE_ALIAS",
            )
        return _item(held)
    if sum(alias.store == store.id for alias in call.state.aliases.values()) >= MAX_ALIASES:
        raise QuotaExceededError(
            "Policy Store Alias Limit Exceeded.", resource_type="POLICY_STORE_ALIAS"
        )
    alias = Alias(
        name=name,
        account=call.caller.account_id,
        region=call.caller.region,
        store=store.id,
        state="Active",
        created=call.now,
        order=call.state.next_order(),
    )
    call.state.commit(put=[alias])
    return _item(alias)


def get_policy_store_alias(call: Call) -> dict[str, Any]:
    """GetPolicyStoreAlias: also while deletion is pending."""
    name = _checked(call.request["aliasName"])
    alias = _held(call, name)
    if alias is None:
        raise NotFoundError(
            "Policy Store Alias does not exist.",
            resource_id=name,
            resource_type="POLICY_STORE_ALIAS",
        )
    return _item(alias) | {"state": alias.state}


def list_policy_store_aliases(call: Call) -> dict[str, Any]:
    """ListPolicyStoreAliases: the caller's, or those of one store."""
    wanted = (call.request.get("filter") or {}).get("policyStoreId")
    own = (call.caller.account_id, call.caller.region)
    matching = [
        alias
        for alias in call.state.aliases.values()
        if (alias.account, alias.region) == own and wanted in (None, alias.store)
    ]
    shown, more = page(call, matching, usual=_USUAL_PAGE)
    return {
        "policyStoreAliases": [_item(alias) | {"state": alias.state} for alias in shown],
        **more,
    }


def delete_policy_store_alias(call: Call) -> dict[str, Any]:
    """DeletePolicyStoreAlias: softly keeps the name reserved, hard frees it.

    A missing alias is already deleted.
    """
    alias = _held(call, _checked(call.request["aliasName"]))
    if alias is None:
        return {}
    if call.request.get("deletionMode") == "HardDelete":
        call.state.commit(delete=[alias])
    elif alias.state == "Active":
        call.state.commit(put=[replace(alias, state="PendingDeletion")])
    return {}


def _held(call: Call, name: str) -> Alias | None:
    return call.state.aliases.get(alias_key(call.caller.account_id, call.caller.region, name))


def _checked(name: str) -> str:
    if not name.startswith(ALIAS_PREFIX) or name == ALIAS_PREFIX:
        raise InvalidInputError(Field("aliasName", "Invalid format."))
    return name


def _item(alias: Alias) -> dict[str, Any]:
    return {
        "aliasName": alias.name,
        "policyStoreId": alias.store,
        "aliasArn": alias.arn,
        "createdAt": alias.created,
    }
