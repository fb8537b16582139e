"""MQTT: a persistent session keeps every QoS 1 message, also while its connection comes or goes."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
# Keys of the sessions that took the message at hand.
_reached: ContextVar[set[Any]] = ContextVar("_reached")


def persistent_session_loses_nothing(emulator: Emulator) -> None:
    """Keep messages that arrive while a session is resumed or given up, or behind a failed write.

    The emulator counts a device as connected before it has subscribed it again, and until after it
    has unsubscribed it; a message in between finds neither a subscription nor a queue. Now whatever
    reached no connection of a persistent session that wants it is queued, or handed to the
    connection that stands by then.

    It also stores an ending session only when its will is out; a device that is back by then is
    told that its session stands, and subscribed to nothing. Now the session is stored before its
    will is published, and only then. What is still replayed to a connection that a new one has
    taken over goes to the new one.
    """
    iot = emulator.module(_IOT)

    def publish_correction(original: Any) -> Any:
        async def publish(
            account: str, region: str, topic: str, payload: bytes, *rest: Any, **options: Any
        ) -> None:
            token = _reached.set(set())
            try:
                await original(account, region, topic, payload, *rest, **options)
                reached = _reached.get()
            finally:
                _reached.reset(token)
            if qos := options.get("qos", rest[0] if rest else 0):
                message = (topic, payload, qos, options.get("properties", b""))
                for key, stored in list(iot._persistent_sessions.items()):
                    if (
                        key[:2] == (account, region)
                        and key not in reached
                        and _misses(iot, stored, message)
                    ):
                        await _hand_over(iot, key, stored, message)

        return publish

    emulator.replace(_IOT, "_WSSession.deliver_to_client", _deliver_correction(iot))
    emulator.replace(_IOT, "_WSSession.cleanup", _cleanup_correction)
    emulator.replace(_IOT, "_WSSession._preserve_session", _preserve_correction)
    emulator.replace(_IOT, "broker_publish", publish_correction)


def _deliver_correction(iot: Any) -> Any:
    def correction(original: Any) -> Any:
        async def deliver(session: Any, topic: str, payload: bytes, qos: int) -> None:
            persistent = qos > 0 and session._persist_session
            reached = _reached.get(None)  # None: not published now, but replayed from the queue
            if persistent and session._cleaned_up:
                if reached is None and (stored := iot._persistent_sessions.get(_key(session))):
                    await _hand_over(
                        iot,
                        _key(session),
                        stored,
                        (topic, payload, qos, iot._delivery_properties.get()),
                    )
                return  # publish hands over what it publishes
            if persistent and reached is not None:
                reached.add(_key(session))
            try:
                await original(session, topic, payload, qos)
            except Exception:
                if not persistent:
                    raise
                # The line broke: the message is in flight by now, and the session keeps what is in
                # flight.
            if persistent and session._cleaned_up and reached is not None:
                # ... unless it was put away meanwhile: then publish hands it over.
                reached.discard(_key(session))

        return deliver

    return correction


def _cleanup_correction(original: Any) -> Any:
    async def cleanup(session: Any) -> None:
        if session._client_id and session._persist_session and not session._cleaned_up:
            session._preserve_session()
        await original(session)

    return cleanup


def _preserve_correction(original: Any) -> Any:
    preserved: WeakSet[Any] = WeakSet()

    def preserve(session: Any) -> None:
        # Again, after its will, it would undo what a connection since then has stored.
        if session not in preserved:
            preserved.add(session)
            original(session)

    return preserve


def _misses(iot: Any, stored: Any, message: tuple[str, bytes, int, bytes]) -> bool:
    """Whether the session wants the message, and the emulator has not queued it."""
    topic, payload, _, _ = message
    if iot._is_session_expired(stored):
        return False
    if any(
        queued[0] == topic and queued[1] == payload for queued in reversed(stored.queued_messages)
    ):
        return False
    return any(iot._subscription_matches(wanted, topic) for wanted in stored.subscriptions)


async def _hand_over(
    iot: Any, key: Any, stored: Any, message: tuple[str, bytes, int, bytes]
) -> None:
    topic, payload, qos, properties = message
    session = iot._connected_clients.get(key)
    subscribed = session is not None and any(
        iot._subscription_matches(held, topic) for held in session._sub_filters.values()
    )
    if session is None or session._cleaned_up or not subscribed:
        stored.queued_messages.append((topic, payload, qos, properties, time.time()))
        return
    token = iot._delivery_properties.set(properties)
    try:
        await session.deliver_to_client(topic, payload, qos)
    finally:
        iot._delivery_properties.reset(token)


def _key(session: Any) -> tuple[str, str, str]:
    return session.account_id, session.region, session._client_id
