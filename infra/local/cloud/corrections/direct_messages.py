"""The IoT data plane's direct messages: to one connected client, until it acknowledges.

Answers and their words are those of AWS IoT Core developer guide, "Direct Messaging"
(https://docs.aws.amazon.com/iot/latest/developerguide/direct-messaging.html).
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from infra.local.cloud.limits.table import (
    DIRECT_MESSAGE_BYTES,
    DIRECT_MESSAGE_SECONDS,
    PUBLISHES_OF_A_CONNECTION,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_DATA: Final = "services.iot_data"
_PATH: Final = re.compile(r"/connections/([^/]+)/messages")
_NOT_CONNECTED: Final = "The target client ID is not connected"
_DEFAULT_SECONDS: Final = 5
# Topic of the call at hand: the condition key `iot:Topic`.
_topic: ContextVar[str | None] = ContextVar("_topic", default=None)


def direct_messages_are_delivered(emulator: Emulator) -> None:
    """Answer SendDirectMessage, on the resource `client/<client id>` and with `iot:Topic` of IAM.

    The message goes to no subscriber and no rule, and is kept for nobody. Whether AWS sends one
    again that is not acknowledged is not known: here it does not (assumed), so that who relies on
    it fails.
    """
    iot, messages = emulator.module(_IOT), _Messages(emulator)

    def served(original: Any) -> Any:
        async def handle(
            method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]
        ) -> Any:
            found = _PATH.fullmatch(path)
            if method != "POST" or found is None:
                return await original(method, path, headers, body, query)
            asked = {
                name: value[0] if isinstance(value, list) else value
                for name, value in query.items()
            }
            return await messages.send(unquote(found[1]), headers, body or b"", asked)

        return handle

    def noted(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if kind == iot.PKT_PUBACK:
                messages.acknowledged(session, int.from_bytes(body[:2]))
            return await original(session, kind, flags, body)

        return dispatch

    emulator.replace(_DATA, "handle_request", served)
    emulator.replace(_IOT, "_WSSession._dispatch_packet", noted)
    emulator.replace("core.iam_actions", "extract_resource_arn", _resource)
    emulator.replace("core.iam_evaluator", "_resolve_condition_key", _condition_key)


class _Messages:
    """Those on their way."""

    def __init__(self, emulator: Emulator) -> None:
        self._iot, self._data = emulator.module(_IOT), emulator.module(_DATA)
        self._limits = emulator.limits
        # By session object and packet identifier.
        self._waiting: dict[tuple[int, int], asyncio.Future[None]] = {}

    def acknowledged(self, session: Any, identifier: int) -> None:
        """A PUBACK came; nobody waits for that of a usual message."""
        known = self._waiting.get((id(session), identifier))
        if known is not None and not known.done():
            known.set_result(None)

    async def send(
        self, client_id: str, headers: Any, payload: bytes, asked: dict[str, Any]
    ) -> Any:
        """The answer of the call."""
        key = (self._data.get_account_id(), self._data.get_region(), client_id)
        session = self._iot._connected_clients.get(key)
        properties, malformed = self._data._publish_properties(headers, asked)
        refusal = _malformed(self._iot, asked, payload) or self._unreached(key, session, asked)
        if refusal is not None:
            return self._data.error_response_json(*refusal)
        if malformed is not None:
            return malformed
        named = {"properties": session._publish_properties(properties)}
        packet = asked["topic"], payload
        if str(asked.get("confirmation")).lower() != "true":
            await session.send_bytes(self._iot._make_publish(*packet, qos=0, **named))
        elif not await self._confirmed(
            session,
            lambda number: self._iot._make_publish(*packet, qos=1, packet_id=number, **named),
            float(asked.get("timeout", _DEFAULT_SECONDS)),
        ):
            words = "The delivery confirmation was not received within the timeout"
            return self._data.error_response_json("GatewayTimeoutException", words, 504)
        return self._data.json_response({"message": "OK", "traceId": self._iot.new_uuid()})

    async def _confirmed(
        self, session: Any, packet: Callable[[int], bytes], seconds: float
    ) -> bool:
        """Whether the client acknowledged in time."""
        identifier = session._alloc_packet_id()
        acknowledged = asyncio.get_running_loop().create_future()
        self._waiting[id(session), identifier] = acknowledged
        try:
            await session.send_bytes(packet(identifier))
            await asyncio.wait_for(acknowledged, seconds)
        except (TimeoutError, ConnectionError):
            return False
        finally:
            del self._waiting[id(session), identifier]
        return True

    def _unreached(self, key: tuple[str, str, str], session: Any, asked: dict[str, Any]) -> Any:
        """Why the client cannot be reached now, or ``None``."""
        if session is None or session._cleaned_up:
            stored = self._iot._persistent_sessions.get(key)
            waits = stored is not None and not self._iot._is_session_expired(stored)
            more = ", but it has an active persistent session" if waits else ""
            return "ResourceNotFoundException", f"{_NOT_CONNECTED}{more}.", 404
        if not session._policy_allows("iot:Receive", f"topic/{asked['topic']}"):
            return "ForbiddenException", f"Client {key[2]} may not receive on the topic", 403
        if not self._limits.take(PUBLISHES_OF_A_CONNECTION, key[2]):
            return "ThrottlingException", "The receiver's outbound publish limit is exceeded", 429
        return None


def _malformed(iot: Any, asked: dict[str, Any], payload: bytes) -> tuple[str, str, int] | None:
    """Code, words and status of what AWS refuses to look at, or ``None``."""
    topic, (least, most) = str(asked.get("topic", "")), DIRECT_MESSAGE_SECONDS
    if topic.startswith("$") or not iot._validate_publish_topic(topic):
        return "InvalidRequestException", "The topic is not valid", 400
    if not least <= float(asked.get("timeout", _DEFAULT_SECONDS)) <= most:
        return "InvalidRequestException", f"timeout must be {least} to {most}", 400
    if len(payload) > DIRECT_MESSAGE_BYTES:
        return "RequestEntityTooLargeException", "The payload exceeds the maximum size", 413
    return None


def _resource(original: Any) -> Any:
    def extract(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        found = _PATH.fullmatch(path) if service == "iot-data" else None
        if found is None:
            _topic.set(None)
            return original(service, method, path, headers, body, *rest)
        query, region, account = rest
        named = query.get("topic")
        _topic.set(str(named[0] if isinstance(named, list) else named))
        return f"arn:aws:iot:{region}:{account}:client/{unquote(found[1])}"

    return extract


def _condition_key(original: Any) -> Any:
    def resolve(key: str, context: Any) -> Any:
        topic = _topic.get()
        if topic is not None and key.lower() == "iot:topic":
            return topic
        return original(key, context)

    return resolve
