"""Retries of a create: the same client token and parameters give the first answer again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from .errors import ConflictError, ResourceType
from .records import ClientToken, Record, client_token_key

if TYPE_CHECKING:
    from .call import Call

_KEPT_SECONDS: Final = 8 * 3600


def earlier_answer(call: Call, resource_type: ResourceType) -> dict[str, Any] | None:
    """What this client token was answered before, if it was.

    Raises:
        ConflictError: it stood for other parameters.
    """
    token = call.request.get("clientToken")
    if token is None:
        return None
    kept = call.state.tokens.get(_key(call, token))
    if kept is None or kept.expires_at <= call.at:
        return None
    if kept.request_hash != _request_hash(call):
        raise ConflictError(
            "The client token was used with different parameters.",
            resource_id=kept.resource_id,
            resource_type=resource_type,
        )
    return kept.response


def commit_created(
    call: Call, record: Record, *, resource_id: str, response: dict[str, Any]
) -> dict[str, Any]:
    """Store what was created with its client token, in one transaction; expired tokens go."""
    token = call.request.get("clientToken")
    put: list[Record] = [record]
    if token is not None:
        put.append(
            ClientToken(
                account=call.caller.account_id,
                region=call.caller.region,
                operation=call.operation,
                token=token,
                request_hash=_request_hash(call),
                resource_id=resource_id,
                response=response,
                expires_at=call.at + _KEPT_SECONDS,
            )
        )
    new = {row.key for row in put}
    stale = [
        row
        for row in call.state.tokens.values()
        if row.expires_at <= call.at and row.key not in new
    ]
    call.state.commit(put=put, delete=stale)
    return response


def _key(call: Call, token: str) -> str:
    return client_token_key(call.caller.account_id, call.caller.region, call.operation, token)


def _request_hash(call: Call) -> str:
    asked = {name: value for name, value in call.request.items() if name != "clientToken"}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
