"""Cognito: two secrets of an app client, made and deleted while both bring tokens."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_COGNITO: Final = "services.cognito"
_MOST: Final = 2
_LENGTH: Final = 52
_ACTIONS: Final = frozenset(
    {"AddUserPoolClientSecret", "ListUserPoolClientSecrets", "DeleteUserPoolClientSecret"}
)
_HELD: Final = "_client_secrets"  # of a pool; what begins so no answer shows


class _AnyOf(str):
    """A secret that any of several is equal to: the emulator compares with one alone."""

    held: tuple[str, ...]

    __slots__ = ("held",)

    def __eq__(self, other: object) -> bool:
        return any(secrets.compare_digest(str(other).encode(), one.encode()) for one in self.held)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def secrets_can_be_rotated(emulator: Emulator) -> None:
    """Know the operations of an app client's secrets; each of two brings tokens.

    AWS: "up to 2 active secrets per app client", "You cannot delete the last remaining secret", an
    id of "the format <client-id>--<epoch-create-time>", and no secret is told twice (API reference
    of Cognito, AddUserPoolClientSecret, DeleteUserPoolClientSecret, ClientSecretDescriptorType).
    Assumed: which code refuses a third, a last, and one of a client without any; that a secret
    counts, and counts no more, at once; and that DescribeUserPoolClient tells the older.
    """
    cognito = emulator.module(_COGNITO)

    def dispatched(original: Any) -> Any:
        async def dispatch(action: str, data: dict[str, Any]) -> Any:
            if action not in _ACTIONS:
                return await original(action, data)
            return _answer(cognito, action, data)

        return dispatch

    def found(original: Any) -> Any:
        def find(client_id: str) -> Any:
            pool_id, pool, client = original(client_id)
            held = (pool or {}).get(_HELD, {}).get(client_id)
            if held:
                any_of = _AnyOf(client["ClientSecret"])
                any_of.held = tuple(held.values())
                client = client | {"ClientSecret": any_of}
            return pool_id, pool, client

        return find

    emulator.replace(_COGNITO, "_dispatch_idp", dispatched)
    emulator.replace(_COGNITO, "_find_pool_by_client_id", found)


def _answer(cognito: Any, action: str, data: dict[str, Any]) -> Any:
    pool, error = cognito._resolve_pool(data.get("UserPoolId"))
    if error:
        return error
    client_id = data["ClientId"]
    client = pool["_clients"].get(client_id)
    answer = _refusal(client)
    if answer is None:
        first = {f"{client_id}--{int(client['CreationDate'])}": client["ClientSecret"]}
        held: dict[str, str] = pool.setdefault(_HELD, {}).setdefault(client_id, first)
        if action == "AddUserPoolClientSecret":
            answer = _add(cognito, data, held)
        elif action == "DeleteUserPoolClientSecret":
            answer = _delete(data, held, client)
        else:
            answer = {"ClientSecrets": [_described(one) for one in held]}
    if isinstance(answer, tuple):
        return cognito.error_response_json(*answer, 400)
    return cognito.json_response(answer)


def _refusal(client: dict[str, Any] | None) -> Any:
    if client is None:
        return "ResourceNotFoundException", "The app client does not exist."
    if not client.get("ClientSecret"):
        return "InvalidParameterException", "The app client has no secret."
    return None


def _add(cognito: Any, data: dict[str, Any], held: dict[str, str]) -> Any:
    if len(held) >= _MOST:
        return "LimitExceededException", "The app client has the maximum number of secrets."
    made = _fresh_id(data["ClientId"], held, int(cognito._now_epoch()))
    held[made] = data.get("ClientSecret") or secrets.token_hex(_LENGTH // 2)
    told = {} if "ClientSecret" in data else {"ClientSecretValue": held[made]}
    return {"ClientSecretDescriptor": {**_described(made), **told}}


def _delete(data: dict[str, Any], held: dict[str, str], client: dict[str, Any]) -> Any:
    if data["ClientSecretId"] not in held:
        return "ResourceNotFoundException", "The secret does not exist."
    if len(held) == 1:
        return "InvalidParameterException", "The last remaining secret cannot be deleted."
    del held[data["ClientSecretId"]]
    client["ClientSecret"] = next(iter(held.values()))
    return {}


def _fresh_id(client_id: str, held: dict[str, str], epoch: int) -> str:
    while f"{client_id}--{epoch}" in held:
        epoch += 1
    return f"{client_id}--{epoch}"


def _described(secret_id: str) -> dict[str, Any]:
    return {
        "ClientSecretId": secret_id,
        "ClientSecretCreateDate": int(secret_id.rpartition("--")[2]),
    }
