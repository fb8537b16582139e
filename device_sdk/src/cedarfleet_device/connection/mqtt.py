"""The agent's one MQTT 5 connection: a persistent session, acknowledgements in our own hands.

awscrt's client connects again by itself and keeps unacknowledged publishes across connections. Its
callbacks run on its event-loop thread, so nothing slow happens in them.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, TypeVar, cast

from awscrt import mqtt5

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.connection.client import (
    Listeners,
    build_client,
    failure,
    goodbye,
    ignore,
    send_at_once,
)
from cedarfleet_device.errors import CloudError
from cedarfleet_device.guard import tell_nobody
from cedarfleet_device.log import event, places

if TYPE_CHECKING:
    from collections.abc import Callable

    from awscrt import io

    from cedarfleet_device.config import DeviceConfig

# AWS IoT Core quota: messages in flight to one client; bounds our memory too.
_UNACKNOWLEDGED: Final = 100
_SUBSCRIBE_AGAIN_SECONDS: Final = 10.0
_LISTEN_AGAIN_SECONDS: Final = 1.0
_TAKEN_OVER_MIN_SECONDS: Final = 30.0
_TAKEN_OVER_MAX_SECONDS: Final = 900.0
_FIRST_FAILURE: Final = 128  # MQTT 5: reason codes from 0x80 on are failures
_Data = TypeVar("_Data")


class MqttConnection:
    """One identity's connection.

    Args:
        config: host, port, thing and the times.
        tls: of ``client.tls_context``.
        message: gets topic, payload and the acknowledgement of a command: to be called once the
            command is durable, from any thread. Without it, the broker sends the command again.
        connected: told whether the broker still had our session.
        disconnected: told why the connection was lost or could not be made.
        refused: told of each that could not be made, whether anybody has answered.
        lost: told of each that broke or was ended, save by another client of this identity.
        failed: told of each failure of a listener that nobody foresaw.

    They are called on awscrt's thread and must be short.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        tls: io.ClientTlsContext,
        message: Callable[[str, bytes, Callable[[], None]], None],
        connected: Callable[[bool], None],
        disconnected: Callable[[str], None],
        refused: Callable[[bool], object] = ignore,
        lost: Callable[[], object] = tell_nobody,
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._thing = config.thing
        proxy = config.proxy
        self._port = config.port if proxy is None else proxy.port
        self._message = message
        self._connected = connected
        self._disconnected = disconnected
        self._refused, self._lost, self._failed = refused, lost, failed
        self._subscribed = False
        self._online = threading.Event()
        self._stopped = threading.Event()
        self._stopped.set()
        self._wanted = False
        self._timer: threading.Timer | None = None
        self._taken_over = Backoff(
            _TAKEN_OVER_MIN_SECONDS, _TAKEN_OVER_MAX_SECONDS, jitter=(1.0, 1.5)
        )
        self._lock = threading.Lock()
        self._config = config
        self.client: Final = build_client(
            config,
            tls=tls,
            connect=self._packet(config),
            listeners=Listeners(
                connected=self._guarded(self._on_connected, again=True),
                not_connected=self._guarded(self._on_failure),
                stopped=self._guarded(self._on_stopped),
                disconnected=self._guarded(self._on_disconnected),
                message=self._guarded(self._on_publish, again=True),
            ),
        )

    @property
    def online(self) -> bool:
        """Whether the broker has accepted us and the line is not known to be broken."""
        return self._online.is_set()

    def start(self) -> None:
        """Connect, and again whenever the connection is lost."""
        self._wanted = True
        self._stopped.clear()
        self.client.start()

    def stop(
        self, *, farewell: tuple[str, bytes] | None = None, timeout_seconds: float = 5.0
    ) -> None:
        """Publish ``farewell`` (topic and payload), and end so that no last will is sent."""
        with self._lock:
            self._wanted = False
            if self._timer is not None:
                self._timer.cancel()
        if farewell is not None and self.online:
            wait([self.publish(*farewell)], timeout_seconds)
        self.client.stop(goodbye())
        self._stopped.wait(timeout_seconds)

    def rejoin(self, *, after_seconds: float) -> None:
        """Drop the connection and resume the session later.

        The broker then sends again what was not acknowledged.
        """
        with self._lock:
            if not self._wanted or self._timer is not None:
                return
            self._timer = threading.Timer(after_seconds, self._start_again)
            self._timer.daemon = True
            self._timer.start()
        self.client.stop()

    def publish(self, topic: str, payload: bytes) -> Future[None]:
        """Publish with QoS 1; done when the broker has acknowledged, also over a later connection.

        The future raises ``CloudError`` when the broker refused or the client gave up.
        """
        outcome: Future[None] = Future()

        def settled(future: Future[mqtt5.PublishCompletionData]) -> None:
            try:
                puback = future.result().puback
                code = int(puback.reason_code) if puback else 0
                if code < _FIRST_FAILURE:
                    outcome.set_result(None)
                    return
                words = f"the broker refused a publish to `{topic}`: reason code {code}"
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of an end
                words = f"publish to `{topic}` failed: {error}"
            if not outcome.done():
                outcome.set_exception(CloudError(words))

        try:
            packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
            self.client.publish(packet).add_done_callback(settled)
        except BaseException as error:  # noqa: BLE001 - as above; the runtime raises its own kinds
            words = getattr(error, "name", error)
            outcome.set_exception(CloudError(f"publish to `{topic}` failed: {words}"))
        return outcome

    def _guarded(
        self, listener: Callable[[_Data], object], *, again: bool = False
    ) -> Callable[[_Data], None]:
        """A listener whose failure is told and, where something was left undone, made good.

        The runtime would print what it raises and go on: a command that was not taken in would wait
        at the broker, and a line without subscription stand, until the line breaks by itself.
        """

        def listen(data: _Data) -> None:
            try:
                listener(data)
            except BaseException as error:  # noqa: BLE001 - the purpose of this function
                event("mqtt.listener_failed", level=logging.ERROR, error=error, at=places(error))
                self._failed()
                if again:
                    self.rejoin(after_seconds=_LISTEN_AGAIN_SECONDS)

        return listen

    def _packet(self, config: DeviceConfig) -> mqtt5.ConnectPacket:
        return mqtt5.ConnectPacket(
            client_id=config.thing,
            keep_alive_interval_sec=config.connection.keep_alive_seconds,
            session_expiry_interval_sec=config.connection.session_expiry_seconds,
            receive_maximum=_UNACKNOWLEDGED,
            maximum_packet_size=2 * wire.MAX_MESSAGE_BYTES,
            will=mqtt5.PublishPacket(
                topic=wire.presence_topic(config.thing),
                payload=wire.presence_message("lost"),
                qos=mqtt5.QoS.AT_LEAST_ONCE,
            ),
        )

    def _on_publish(self, data: mqtt5.PublishReceivedData) -> None:
        packet = data.publish_packet
        topic = packet.topic
        # An answer of Jobs has its own listener: nothing of ours to keep.
        if not topic.startswith("fleet/"):
            return
        # First of all: were anything to fail before this, awscrt would acknowledge for us, and the
        # command be lost.
        acquire: Callable[[], mqtt5.PublishAcknowledgementControlHandle] | None
        acquire = data.acquire_publish_acknowledgement_control  # None for QoS 0
        handle = acquire() if acquire is not None else None

        def acknowledge() -> None:
            if handle is not None:
                self.client.invoke_publish_acknowledgement(handle)

        payload = packet.payload
        content = payload.encode() if isinstance(payload, str) else bytes(payload or b"")
        self._message(topic, content, acknowledge)

    def _on_connected(self, data: mqtt5.LifecycleConnectSuccessData) -> None:
        present = bool(data.connack_packet.session_present)
        self._online.set()
        send_at_once(self._port)
        if not present or not self._subscribed:
            self._subscribe()
        self._connected(present)

    def _subscribe(self) -> None:
        self._subscribed = False
        subscription = mqtt5.Subscription(
            topic_filter=wire.command_filter(self._thing), qos=mqtt5.QoS.AT_LEAST_ONCE
        )

        def settled(future: Future[mqtt5.SubackPacket]) -> None:
            failed, codes = None, list[int]()
            try:
                codes = [int(code) for code in future.result().reason_codes]
            except BaseException as error:  # noqa: BLE001 - without it the device hears nothing
                failed = error
            if failed is None and all(code < _FIRST_FAILURE for code in codes):
                self._subscribed = True
                event("mqtt.subscribed")
                return
            event("mqtt.subscribe_refused", level=logging.ERROR, error=failed, codes=codes)
            self.rejoin(after_seconds=_SUBSCRIBE_AGAIN_SECONDS)

        self.client.subscribe(
            mqtt5.SubscribePacket(subscriptions=[subscription])
        ).add_done_callback(settled)

    def _on_failure(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        why = failure(self._config, data)
        self._disconnected(why.words)
        self._refused(why.code is not None)

    def _on_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        self._online.clear()
        packet = cast("mqtt5.DisconnectPacket | None", data.disconnect_packet)  # None: line broke
        taken_over = mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        if packet is not None and packet.reason_code == taken_over:
            # Two agents with one identity would otherwise throw each other out as fast as they
            # can connect.
            pause = self._taken_over.next_pause()
            event(
                "mqtt.identity_in_use_elsewhere",
                level=logging.ERROR,
                thing=self._thing,
                again_in_seconds=round(pause),
            )
            self._disconnected("another client connected with this device's identity")
            self.rejoin(after_seconds=pause)
            return
        code = f", reason code {int(packet.reason_code)}" if packet is not None else ""
        self._disconnected(f"{getattr(data.exception, 'name', data.exception)}{code}")
        self._lost()

    def _on_stopped(self, _data: mqtt5.LifecycleStoppedData) -> None:
        self._online.clear()
        self._stopped.set()

    def _start_again(self) -> None:
        with self._lock:
            self._timer = None
            if not self._wanted:
                return
        self._stopped.wait(30)
        with self._lock:  # `stop` may have come meanwhile
            if self._wanted:
                self._stopped.clear()
                self.client.start()
