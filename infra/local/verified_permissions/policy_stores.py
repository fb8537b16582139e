"""Operations on policy stores and their tags."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from . import client_tokens
from .call import ALIAS_PREFIX, Call
from .errors import (
    Field,
    InvalidInputError,
    InvalidStateError,
    NotFoundError,
    QuotaExceededError,
    TooManyTagsError,
)
from .pages import page
from .records import PolicyStore, Record, new_id

MAX_STORES: Final = 30_000
MAX_TAGS: Final = 50

_STORE_ARN: Final = re.compile(r"arn:[^:]*:verifiedpermissions::(\d{12}):policy-store/([^/]+)")


def create_policy_store(call: Call) -> dict[str, Any]:
    """CreatePolicyStore: without a schema, STRICT refuses every policy until one is put."""
    if (earlier := client_tokens.earlier_answer(call, "POLICY_STORE")) is not None:
        return earlier
    if len(_own_stores(call)) >= MAX_STORES:
        raise QuotaExceededError("Policy Store Limit Exceeded.", resource_type="POLICY_STORE")
    request = call.request
    tags = dict(request.get("tags") or {})
    if len(tags) > MAX_TAGS:
        raise InvalidInputError(Field("/tags", f"At most {MAX_TAGS} tags are allowed."))
    store = PolicyStore(
        id=new_id(),
        account=call.caller.account_id,
        region=call.caller.region,
        mode=request["validationSettings"]["mode"],
        protected=request.get("deletionProtection") == "ENABLED",
        description=request.get("description"),
        encryption=_encryption_state(request.get("encryptionSettings")),
        tags=tags,
        created=call.now,
        updated=call.now,
        created_at=call.at,
        order=call.state.next_order(),
    )
    return client_tokens.commit_created(call, store, resource_id=store.id, response=_summary(store))


def get_policy_store(call: Call) -> dict[str, Any]:
    """GetPolicyStore: tags only when asked for."""
    store = call.store()
    answer = _summary(store) | {
        "validationSettings": {"mode": store.mode},
        "deletionProtection": "ENABLED" if store.protected else "DISABLED",
        "encryptionState": store.encryption,
        "cedarVersion": "CEDAR_4",
    }
    if store.description is not None:
        answer["description"] = store.description
    if call.request.get("tags") and store.tags:
        answer["tags"] = store.tags
    return answer


def list_policy_stores(call: Call) -> dict[str, Any]:
    """ListPolicyStores: the caller's, in order of creation."""
    shown, more = page(call, _own_stores(call))
    items = [
        _summary(store)
        | ({"description": store.description} if store.description is not None else {})
        for store in shown
    ]
    return {"policyStores": items, **more}


def update_policy_store(call: Call) -> dict[str, Any]:
    """UpdatePolicyStore.

    A description that is left out is erased; deletion protection stays unless it is sent.
    """
    store = call.store()
    protection = call.request.get("deletionProtection")
    updated = replace(
        store,
        mode=call.request["validationSettings"]["mode"],
        protected=store.protected if protection is None else protection == "ENABLED",
        description=call.request.get("description"),
        updated=call.now,
    )
    call.state.commit(put=[updated])
    return _summary(updated)


def delete_policy_store(call: Call) -> dict[str, Any]:
    """DeletePolicyStore: by id only; children and aliases go too.

    A missing store is already deleted.
    """
    name = call.request["policyStoreId"]
    if name.startswith(ALIAS_PREFIX):
        raise InvalidInputError(
            Field("/policyStoreId", "A policy store is deleted by its ID, not by an alias.")
        )
    store = call.state.stores.get(name)
    if store is None or store not in _own_stores(call):
        return {}
    if store.protected:
        raise InvalidStateError(
            "The policy store has deletion protection enabled; disable it before deleting."
        )
    gone: list[Record] = [alias for alias in call.state.aliases.values() if alias.store == store.id]
    call.state.commit(delete=[*gone, store])
    return {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"tags": _tagged(call).tags}


def tag_resource(call: Call) -> dict[str, Any]:
    """TagResource: adds tags and replaces the values of those that are there."""
    store = _tagged(call)
    tags = store.tags | call.request["tags"]
    if len(tags) > MAX_TAGS:
        raise TooManyTagsError(
            f"A resource can have at most {MAX_TAGS} tags.", resource_name=store.arn
        )
    call.state.commit(put=[replace(store, tags=tags)])
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    """UntagResource: keys that are not there are ignored."""
    store = _tagged(call)
    gone = set(call.request["tagKeys"])
    call.state.commit(
        put=[
            replace(store, tags={key: text for key, text in store.tags.items() if key not in gone})
        ]
    )
    return {}


def _tagged(call: Call) -> PolicyStore:
    arn = call.request["resourceArn"]
    match = _STORE_ARN.fullmatch(arn)
    if match is None:
        raise InvalidInputError(Field("/resourceArn", "Must be the ARN of a policy store."))
    if match[1] != call.caller.account_id:
        raise NotFoundError(
            "Policy Store does not exist.", resource_id=arn, resource_type="POLICY_STORE"
        )
    store = call.store(match[2])
    if arn != store.arn:  # fail closed: IAM decided on the ARN as it was written
        raise NotFoundError(
            "Policy Store does not exist.", resource_id=arn, resource_type="POLICY_STORE"
        )
    return store


def _own_stores(call: Call) -> list[PolicyStore]:
    own = (call.caller.account_id, call.caller.region)
    return [store for store in call.state.stores.values() if (store.account, store.region) == own]


def _summary(store: PolicyStore) -> dict[str, Any]:
    return {
        "policyStoreId": store.id,
        "arn": store.arn,
        "createdDate": store.created,
        "lastUpdatedDate": store.updated,
    }


def _encryption_state(settings: dict[str, Any] | None) -> dict[str, Any]:
    key = (settings or {}).get("kmsEncryptionSettings")
    if key is None:
        return {"default": {}}
    return {
        "kmsEncryptionState": {
            "key": key["key"],
            "encryptionContext": key.get("encryptionContext") or {},
        }
    }
