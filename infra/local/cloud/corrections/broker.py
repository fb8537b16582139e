"""MQTT: makes the emulator's broker admit, keep and drop clients as AWS IoT Core does."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.table import CERTIFICATE, LEAST_KEEP_ALIVE_SECONDS

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_DEVICES: Final = "iot:Data-ATS"
_CLOSE: Final = {"type": "websocket.close", "code": 1000}
_KEEP_ALIVE_GRACE: Final = 1.5  # times the interval (MQTT 5 specification, 3.1.2.10)
_SLOWEST_WRITE_SECONDS: Final = 5.0
_RETRANSMIT_SECONDS: Final = 1


def listens_on_loopback(emulator: Emulator) -> None:
    """Take the socket that was bound on loopback; the listener's own binds every interface."""
    iot = emulator.module(_IOT)
    given = [emulator.mqtt_listener]

    async def start() -> None:
        if iot._mtls_server is not None:
            return
        loop = asyncio.get_running_loop()
        if given:
            iot._mtls_server = await loop.create_server(iot._MtlsAcceptor, sock=given.pop())
        else:  # started again
            iot._mtls_server = await loop.create_server(
                iot._MtlsAcceptor, host="127.0.0.1", port=emulator.mqtt_port
            )
        iot._mtls_loop = loop

    emulator.replace(_IOT, "_mtls_start_locked", lambda _: start)


def endpoint_is_the_brokers(emulator: Emulator) -> None:
    """Name the broker as the endpoint of devices; else it is the gateway, by an unknown host name.

    AWS's answer is a host alone, since its port is always 8883; here the port follows.
    """
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def describe(query: Any) -> Any:
            if query.get("endpointType", _DEVICES) != _DEVICES:
                return original(query)
            return iot.json_response({"endpointAddress": f"localhost:{emulator.mqtt_port}"})

        return describe

    emulator.replace(_IOT, "_describe_endpoint", correction)


def client_certificate_is_required(emulator: Emulator) -> None:
    """Fail the handshake of a client without certificate; else it may subscribe to ``#``."""

    def required(original: Any) -> Any:
        def build() -> ssl.SSLContext:
            context: ssl.SSLContext = original()
            context.verify_mode = ssl.CERT_REQUIRED
            return context

        return build

    def nobody(original: Any) -> Any:
        def resolve(certificate: bytes | None) -> Any:
            return original(certificate) if certificate else None  # fail closed

        return resolve

    emulator.replace(_IOT, "_mtls_build_ssl_context", required)
    emulator.replace(_IOT, "_mtls_resolve_identity", nobody)


def keep_alive_is_enforced(emulator: Emulator) -> None:
    """Drop a half-open device after 1.5 times its keep-alive; else it stays "connected".

    Less than 30 s counts as 30 (source: AWS IoT Core quotas, "Keep-alive").
    """
    iot, limits = emulator.module(_IOT), emulator.limits
    heard: dict[int, float] = {}  # by session object: the time of its last bytes

    async def watch(session: Any, asked: int) -> None:
        interval = max(asked, LEAST_KEEP_ALIVE_SECONDS / limits.pace)
        try:
            while not session._cleaned_up:
                await asyncio.sleep(max(0.25, interval / 4))
                if time.monotonic() - heard[id(session)] > interval * _KEEP_ALIVE_GRACE:
                    await _drop(session, "MQTT_KEEP_ALIVE_TIMEOUT")
                    return
        finally:
            heard.pop(id(session), None)

    def watched(original: Any) -> Any:
        async def dispatch(session: Any, kind: int, flags: int, body: bytes) -> Any:
            if (
                kind == iot.PKT_CONNECT
                and id(session) not in heard
                and (interval := _keep_alive_seconds(body))
            ):
                heard[id(session)] = time.monotonic()
                session.keep_alive_watch = asyncio.create_task(watch(session, interval))
            return await original(session, kind, flags, body)

        return dispatch

    def noted(original: Any) -> Any:
        async def feed(session: Any, data: bytes, limit: int) -> Any:
            if id(session) in heard:
                heard[id(session)] = time.monotonic()
            return await original(session, data, limit)

        return feed

    emulator.replace(_IOT, "_WSSession._dispatch_packet", watched)
    emulator.replace(_IOT, "_feed_session", noted)


def slow_subscriber_is_dropped(emulator: Emulator) -> None:
    """Drop a subscriber that reads nothing for 5 s; else it blocks all publishers of its topics."""

    def correction(original: Any) -> Any:
        async def send(session: Any, data: bytes) -> None:
            try:
                await asyncio.wait_for(original(session, data), _SLOWEST_WRITE_SECONDS)
            except TimeoutError as error:
                await _drop(session, "SERVER_INITIATED_DISCONNECT")
                raise ConnectionResetError("the subscriber does not read") from error

        return send

    emulator.replace(_IOT, "_WSSession.send_bytes", correction)


def deactivated_certificate_is_dropped(emulator: Emulator) -> None:
    """Drop live connections when their certificate is deactivated, minutes later, as AWS does.

    Until then the certificate is still let in.
    """
    lingering = _Lingering(emulator)

    def correction(original: Any) -> Any:
        def handle(method: str, path: str, body: bytes, query: Any) -> Any:
            certificate = path.rsplit("/", 1)[-1]
            before = lingering.status(certificate)
            answer = original(method, path, body, query)
            if method == "PUT" and before == "ACTIVE" != lingering.status(certificate):
                lingering.begin(certificate)
            return answer

        return handle

    def still(original: Any) -> Any:
        def registrations(certificate: str, status: str | None = "ACTIVE") -> Any:
            found = original(certificate, status)
            if status == "ACTIVE" and lingering.lets_in(certificate):
                return found or original(certificate, None)
            return found

        return registrations

    emulator.replace(_IOT, "_handle_certificate", correction)
    emulator.replace(_IOT, "_mtls_active_registrations", still)


class _Lingering:
    """Certificates that are active no more, which not all of AWS knows yet."""

    def __init__(self, emulator: Emulator) -> None:
        self._iot, self._limits = emulator.module(_IOT), emulator.limits
        self._until: dict[str, float] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def status(self, certificate: str) -> str | None:
        """What the registry says; within a request."""
        return (self._iot._certificates.get(certificate) or {}).get("status")

    def begin(self, certificate: str) -> None:
        """Let it in, and its connections live, for AWS's delay."""
        self._until[certificate] = self._limits.clock.now() + self._limits.seconds(CERTIFICATE)
        # In the request's context, which names the account.
        task = asyncio.get_running_loop().create_task(self._end(certificate))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def lets_in(self, certificate: str) -> bool:
        """Whether the delay is not over."""
        return self._limits.clock.now() < self._until.get(certificate, 0.0)

    async def _end(self, certificate: str) -> None:
        await self._limits.clock.sleep(self._limits.seconds(CERTIFICATE))
        self._until.pop(certificate, None)
        if self.status(certificate) == "ACTIVE":
            return
        for session in list(self._iot._connected_clients.values()):
            if session.certificate_id == certificate:
                await _drop(session, "FORCED_DISCONNECT")


def subscribing_again_replaces(emulator: Emulator) -> None:
    """Replace a subscription to the same filter; else it adds one more copy of every message."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def subscribe(
            account: str, region: str, topic_filter: str, callback: Any, *rest: Any, **options: Any
        ) -> Any:
            session: Any = getattr(callback, "__self__", None)
            if type(session) is iot._WSSession:
                for held in [
                    known for known, text in session._sub_filters.items() if text == topic_filter
                ]:
                    await iot.broker_unsubscribe(held)
                    session._sub_filters.pop(held, None)
                    session._sub_granted_qos.pop(held, None)
                    session._sub_ids[:] = [known for known in session._sub_ids if known != held]
            return await original(account, region, topic_filter, callback, *rest, **options)

        return subscribe

    emulator.replace(_IOT, "broker_subscribe", correction)


def retransmits_every_second(emulator: Emulator) -> None:
    """Send an unacknowledged message again after 1 s, not 30: AWS does when the device returns."""
    emulator.replace(_IOT, "_RETRANSMIT_INTERVAL_SECONDS", lambda _: _RETRANSMIT_SECONDS)


def disconnect_behind_answers_counts(emulator: Emulator) -> None:
    """Let a DISCONNECT count that comes behind an answer under way; else the client's will is sent.

    The emulator gives a connection up when an answer cannot be written, with what it has received
    but not yet read; waiting for the write, as ``slow_subscriber_is_dropped`` does, makes that
    likely.
    """

    def correction(original: Any) -> Any:
        async def feed(session: Any, data: bytes, limit: int) -> Any:
            while True:
                try:
                    return await original(session, data, limit)
                except ConnectionError:
                    if session._cleaned_up:  # dropped by us: nothing of it counts any more
                        raise
                    # The packet whose answer found nobody is taken; go on with those behind it.
                    data = b""

        return feed

    emulator.replace(_IOT, "_feed_session", correction)


async def _drop(session: Any, reason: str) -> None:
    """Close a session; ``reason`` is told by its disconnect event (AWS IoT "Lifecycle events")."""
    session._forced_disconnect_reason = reason
    await session._send(dict(_CLOSE))
    await session.cleanup()


def _keep_alive_seconds(connect: bytes) -> int:
    """The keep-alive of a CONNECT packet's variable header; 0 = none, or too short a packet."""
    if len(connect) < 2:  # noqa: PLR2004 - the length of the protocol name
        return 0
    offset = 2 + struct.unpack_from("!H", connect)[0] + 2  # name, version, flags
    return struct.unpack_from("!H", connect, offset)[0] if len(connect) >= offset + 2 else 0
