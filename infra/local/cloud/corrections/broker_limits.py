"""MQTT: how often a client may connect and publish, and how long and how fast it is waited for."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.table import (
    CONNECTS_OF_A_CLIENT,
    FILTERS_OF_A_SUBSCRIBE,
    PUBLISHES_OF_A_CONNECTION,
    QUEUED_MESSAGES,
    SESSION_SECONDS,
    STORED_MESSAGES,
    SUBSCRIPTIONS_OF_A_CONNECTION,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.local.cloud.emulator import Emulator
    from infra.local.cloud.limits.enforcing import Limits

_IOT: Final = "services.iot"
_DISPATCH: Final = "_WSSession._dispatch_packet"
_MQTT_5: Final = 5
_QUOTA_EXCEEDED: Final = 0x97  # MQTT 5 specification, 3.2.2.2 and 3.9.3
_FAILURE: Final = 0x80  # MQTT 3.1.1 specification, 3.9.3


def connects_are_limited(emulator: Emulator) -> None:
    """Turn away a client that connects again within a second."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if kind == iot.PKT_CONNECT:
                level, client_id = _identity(iot, body)
                if client_id and not emulator.limits.take(CONNECTS_OF_A_CLIENT, client_id):
                    if level == _MQTT_5:
                        refusal = iot._make_connack(
                            return_code=_QUOTA_EXCEEDED, protocol_version=level
                        )
                        await session.send_bytes(refusal)
                    return False
            return await original(session, kind, flags, body)

        return dispatch

    emulator.replace(_IOT, _DISPATCH, correction)


def publishes_are_limited(emulator: Emulator) -> None:
    """Lose what a connection publishes beyond its rate: unacknowledged, and connected still."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if kind == iot.PKT_PUBLISH and not emulator.limits.take(
                PUBLISHES_OF_A_CONNECTION, str(session._client_id)
            ):
                return True
            return await original(session, kind, flags, body)

        return dispatch

    emulator.replace(_IOT, _DISPATCH, correction)


def sessions_expire(emulator: Emulator) -> None:
    """Keep the session of a client that is away for an hour at most, whatever it asks for."""
    iot, clock = emulator.module(_IOT), emulator.limits.clock

    def asked(_: Any) -> Any:
        def expired(stored: Any) -> bool:
            wanted = stored.expiry_interval
            seconds = SESSION_SECONDS if wanted is None else min(wanted, SESSION_SECONDS)
            return bool(clock.now() - stored.created_at > seconds)

        return expired

    # Both note the machine's time, which is not the rehearsal's.
    def made(original: Any) -> Any:
        def make(stored: Any, *given: Any, **named: Any) -> None:
            original(stored, *given, **named)
            stored.created_at = clock.now()

        return make

    def preserved(original: Any) -> Any:
        def preserve(session: Any) -> None:
            original(session)
            key = (session.account_id, session.region, session._client_id)
            if (stored := iot._persistent_sessions.get(key)) is not None:
                stored.created_at = clock.now()

        return preserve

    emulator.replace(_IOT, "_is_session_expired", asked)
    emulator.replace(_IOT, "_PersistentSessionState.__init__", made)
    emulator.replace(_IOT, "_WSSession._preserve_session", preserved)


def queueing_is_limited(emulator: Emulator) -> None:
    """Lose what is published for absent clients beyond the account's rate of queueing."""

    def correction(original: Any) -> Any:
        def make(stored: Any, *given: Any, **named: Any) -> None:
            original(stored, *given, **named)
            stored.queued_messages = _Queue(stored.queued_messages, emulator.limits)

        return make

    emulator.replace(_IOT, "_PersistentSessionState.__init__", correction)


class _Queue(list[Any]):
    """Messages of an absent client; what is appended too fast is lost."""

    def __init__(self, messages: Iterable[Any], limits: Limits) -> None:
        super().__init__(messages)
        self._limits = limits

    def append(self, message: Any, /) -> None:
        """Queue it, if the account may queue one more in this second."""
        if self._limits.take(QUEUED_MESSAGES):
            super().append(message)

    def __getitem__(self, at: Any, /) -> Any:
        # The emulator cuts a queue that is too long by taking a part of it.
        found = super().__getitem__(at)
        return _Queue(found, self._limits) if isinstance(at, slice) else found


def subscriptions_are_limited(emulator: Emulator) -> None:
    """Refuse a SUBSCRIBE of too many filters, or that makes too many subscriptions, and close.

    Source: AWS General Reference, IoT Core, "Subscriptions per connection": it "might reject
    subscription requests on the same connection in excess of this amount and the connection is
    closed".
    """
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if kind != iot.PKT_SUBSCRIBE:
                return await original(session, kind, flags, body)
            level = session.protocol_version
            filters = _filters(iot, body, level)
            held = {*session._sub_filters.values(), *filters}
            if (
                len(filters) <= FILTERS_OF_A_SUBSCRIBE.figure
                and len(held) <= SUBSCRIPTIONS_OF_A_CONNECTION.figure
            ):
                return await original(session, kind, flags, body)
            code = _QUOTA_EXCEEDED if level == _MQTT_5 else _FAILURE
            packet_id = int.from_bytes(body[:2])
            refusal = iot._make_suback(packet_id, [code] * len(filters), protocol_version=level)
            await session.send_bytes(refusal)
            return False

        return dispatch

    emulator.replace(_IOT, _DISPATCH, correction)


def _filters(iot: Any, subscribe: bytes, level: int) -> list[str]:
    """The topic filters of a SUBSCRIBE packet; none where it is malformed: the broker says so."""
    found: list[str] = []
    offset = 2
    try:
        if level == _MQTT_5:
            _, offset = iot._decode_properties(subscribe, offset)
        while offset < len(subscribe):
            topic, offset = iot._read_string(subscribe, offset)
            offset += 1  # options
            found.append(str(topic))
    except (IndexError, ValueError, UnicodeDecodeError):
        return []
    return found


def stored_messages_come_slowly(emulator: Emulator) -> None:
    """Deliver ten stored messages a second to a client that is back; the emulator sends all."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if kind != iot.PKT_CONNECT:
                return await original(session, kind, flags, body)
            key = (session.account_id, session.region, _identity(iot, body)[1])
            stored = iot._persistent_sessions.get(key)
            later: list[Any] = []
            if stored is not None:
                waiting = stored.queued_messages
                at_once = 0
                while at_once < len(waiting) and emulator.limits.take(STORED_MESSAGES, key[2]):
                    at_once += 1
                later, waiting[at_once:] = waiting[at_once:], []
            answer = await original(session, kind, flags, body)
            if later and iot._persistent_sessions.get(key) is stored:
                session.stored_messages = asyncio.create_task(
                    _deliver(emulator, session, key, later)
                )
            return answer

        return dispatch

    emulator.replace(_IOT, _DISPATCH, correction)


async def _deliver(
    emulator: Emulator, session: Any, key: tuple[str, str, str], later: list[Any]
) -> None:
    """Hand over what waited; what is left when the client goes waits on, in front."""
    iot, limits = emulator.module(_IOT), emulator.limits
    while later:
        if not limits.take(STORED_MESSAGES, key[2]):
            await limits.clock.sleep(1 / (STORED_MESSAGES.figure * limits.pace))
            continue
        stored = iot._persistent_sessions.get(key)
        if session._cleaned_up:
            if stored is not None:
                stored.queued_messages[:0] = later
            return
        topic, payload, qos, properties, received_at = later.pop(0)
        aged = iot._aged_properties(properties, received_at)
        if aged is None:
            continue
        token = iot._delivery_properties.set(aged)
        try:
            await session.deliver_to_client(topic, payload, qos)
        finally:
            iot._delivery_properties.reset(token)


def _identity(iot: Any, connect: bytes) -> tuple[int, str]:
    """Protocol level and client id of a CONNECT packet; no id where it has none."""
    try:
        _, offset = iot._read_string(connect, 0)
        level = connect[offset]
        offset += 4  # level, flags, keep-alive
        if level == _MQTT_5:
            _, offset = iot._decode_properties(connect, offset)
        return level, str(iot._read_string(connect, offset)[0])
    except (IndexError, ValueError, UnicodeDecodeError):
        return 0, ""  # malformed: the broker says so
