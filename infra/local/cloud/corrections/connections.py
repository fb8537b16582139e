"""The IoT data plane's connections: what the broker knows of a client, and how to end it."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_DATA: Final = "services.iot_data"
_PREFIX: Final = "/connections/"
_CLOSE: Final = {"type": "websocket.close", "code": 1000}
# AWS tells why a client went for 30 minutes (source: AWS IoT Core developer guide, GetConnection).
_REMEMBERED_MS: Final = 30 * 60 * 1000

# Account, region and client id.
_Key: TypeAlias = tuple[str, str, str]


@dataclass
class _Heard:
    """When clients came, and when and why they went; in milliseconds since the epoch."""

    came: dict[_Key, int] = field(default_factory=dict[_Key, int])
    went: dict[_Key, tuple[int, str]] = field(default_factory=dict[_Key, tuple[int, str]])

    def connection(self, key: _Key, session: Any) -> dict[str, Any] | None:
        """What GetConnection says; ``None`` of a client that the broker does not know."""
        if session is not None:
            return {
                "connected": True,
                "cleanSession": not session._persist_session,
                "connectedSince": self.came.get(key),
            }
        at, reason = self.went.get(key, (0, ""))
        if time.time() * 1000 - at > _REMEMBERED_MS:
            return None
        return {"connected": False, "disconnectedSince": at, "disconnectReason": reason}


def connections_are_told(emulator: Emulator) -> None:
    """Answer GetConnection and DeleteConnection, on the resource `client/<client id>` of IAM."""
    iot, data, heard = emulator.module(_IOT), emulator.module(_DATA), _Heard()

    def served(original: Any) -> Any:
        async def handle(
            method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]
        ) -> Any:
            if not path.startswith(_PREFIX) or method not in {"GET", "DELETE"}:
                return await original(method, path, headers, body, query)
            client_id = unquote(path.removeprefix(_PREFIX))
            key = (data.get_account_id(), data.get_region(), client_id)
            session = iot._connected_clients.get(key)
            if method == "GET" and (told := heard.connection(key, session)):
                return data.json_response({"clientId": client_id, **told})
            if method == "DELETE" and (session is not None or _waits(iot, key)):
                await _end(iot, session, key, query)
                return data.json_response({})
            return data.error_response_json(
                "ResourceNotFoundException", "The specified resource does not exist", 404
            )

        return handle

    emulator.replace(_IOT, "_WSSession._publish_lifecycle", _noted(iot, heard))
    emulator.replace(_DATA, "handle_request", served)
    emulator.replace("core.iam_actions", "extract_resource_arn", _resource)


def _noted(iot: Any, heard: _Heard) -> Any:
    def correction(original: Any) -> Any:
        async def publish(session: Any, event: str, **fields: Any) -> None:
            key = (session.account_id, session.region, session._client_id)
            if event == "connected":
                heard.came[key] = iot._now_epoch_millis()
            elif event == "disconnected":
                heard.went[key] = (iot._now_epoch_millis(), fields["disconnectReason"])
            await original(session, event, **fields)

        return publish

    return correction


def _resource(original: Any) -> Any:
    def extract(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        if service != "iot-data" or not path.startswith(_PREFIX):
            return original(service, method, path, headers, body, *rest)
        _query, region, account = rest
        return f"arn:aws:iot:{region}:{account}:client/{unquote(path.removeprefix(_PREFIX))}"

    return extract


def _waits(iot: Any, key: _Key) -> bool:
    """Whether a session is kept for a client that is away: it can be ended too.

    Source: AWS IoT developer guide, "DeleteConnection", ResourceNotFoundException.
    """
    stored = iot._persistent_sessions.get(key)
    return stored is not None and not iot._is_session_expired(stored)


async def _end(iot: Any, session: Any, key: _Key, query: dict[str, Any]) -> None:
    if session is not None:
        if _asked(query, "preventWillMessage"):
            session._will_topic = None
        session._forced_disconnect_reason = "API_INITIATED_DISCONNECT"
        await session._send(dict(_CLOSE))
        await session.cleanup()
    if _asked(query, "cleanSession"):
        iot._persistent_sessions.pop(key, None)


def _asked(query: dict[str, Any], name: str) -> bool:
    value: Any = query.get(name)
    return str(value[0] if isinstance(value, list) else value).lower() == "true"
