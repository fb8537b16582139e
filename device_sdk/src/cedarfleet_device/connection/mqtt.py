"""The agent's one MQTT 5 connection: mutual TLS, persistent session, acknowledgement in our own hands.

awscrt's client connects again by itself and keeps unacknowledged publishes across connections. Its callbacks run on
its event-loop thread, so nothing slow happens in them.
"""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, cast

import awscrt.exceptions
from awscrt import io, mqtt5

from cedarfleet_device import wire
from cedarfleet_device.connection.nodelay import send_at_once
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.config import DeviceConfig

_UNACKNOWLEDGED: Final = (
    100  # AWS IoT Core quota: messages in flight to one client; bounds our memory too
)
_SUBSCRIBE_AGAIN_SECONDS: Final = 10.0
_TAKEN_OVER_MIN_SECONDS: Final = 30.0
_TAKEN_OVER_MAX_SECONDS: Final = 900.0
_FIRST_FAILURE: Final = 128  # MQTT 5: reason codes from 0x80 on are failures


def tls_context(certificate: bytes, key: bytes, authority: bytes) -> io.ClientTlsContext:
    """Mutual TLS from PEM; agents of one process may share it, which makes connecting cheaper.

    Raises:
        ConfigError: not PEM, or key and certificate do not belong together.
    """
    try:
        options = io.TlsContextOptions.create_client_with_mtls(certificate, key)
        options.override_default_trust_store(authority)
        return io.ClientTlsContext(options)
    except awscrt.exceptions.AwsCrtError as error:
        raise ConfigError(
            f"certificate, key or authority cannot be used for TLS: {error.name}"
        ) from error


class Connection:
    """One identity's connection.

    Args:
        config: host, port, thing and the times.
        tls: of ``tls_context``.
        message: gets topic, payload and the acknowledgement of a command: to be called once the command is durable,
            from any thread. Without it, the broker sends the command again.
        connected: told whether the broker still had our session.
        disconnected: told why the connection was lost or could not be made.

    The three are called on awscrt's thread and must be short.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        tls: io.ClientTlsContext,
        message: Callable[[str, bytes, Callable[[], None]], None],
        connected: Callable[[bool], None],
        disconnected: Callable[[str], None],
    ) -> None:
        self._thing = config.thing
        self._port = config.port
        self._message = message
        self._connected = connected
        self._disconnected = disconnected
        self._subscribed = False
        self._online = threading.Event()
        self._stopped = threading.Event()
        self._stopped.set()
        self._wanted = False
        self._timer: threading.Timer | None = None
        self._taken_over_seconds = _TAKEN_OVER_MIN_SECONDS
        self._lock = threading.Lock()
        self.client: Final = mqtt5.Client(self._options(config, tls))

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
        """Publish ``farewell`` (topic and payload), say goodbye, so that the last will is not sent, and end."""
        with self._lock:
            self._wanted = False
            if self._timer is not None:
                self._timer.cancel()
        if farewell is not None and self.online:
            wait([self.publish(*farewell)], timeout_seconds)
        self.client.stop(
            mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)
        )
        self._stopped.wait(timeout_seconds)

    def rejoin(self, *, after_seconds: float) -> None:
        """Drop the connection and resume the session later: the broker sends again what was not acknowledged."""
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
            error = future.exception()
            if error is not None:
                outcome.set_exception(CloudError(f"publish to `{topic}` failed: {error}"))
                return
            puback = future.result().puback
            code = int(puback.reason_code) if puback else 0
            if code >= _FIRST_FAILURE:
                outcome.set_exception(
                    CloudError(f"the broker refused a publish to `{topic}`: reason code {code}")
                )
            else:
                outcome.set_result(None)

        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        try:
            self.client.publish(packet).add_done_callback(settled)
        except awscrt.exceptions.AwsCrtError as error:
            outcome.set_exception(CloudError(f"publish to `{topic}` failed: {error.name}"))
        return outcome

    def _options(self, config: DeviceConfig, tls: io.ClientTlsContext) -> mqtt5.ClientOptions:
        connection = config.connection
        flow = mqtt5.ExtendedValidationAndFlowControlOptions
        lost = wire.presence_message("lost")
        return mqtt5.ClientOptions(
            host_name=config.endpoint,
            port=config.port,
            tls_ctx=tls,
            socket_options=_socket_options(),
            connect_options=mqtt5.ConnectPacket(
                client_id=config.thing,
                keep_alive_interval_sec=connection.keep_alive_seconds,
                session_expiry_interval_sec=connection.session_expiry_seconds,
                receive_maximum=_UNACKNOWLEDGED,
                maximum_packet_size=2 * wire.MAX_MESSAGE_BYTES,
                will=mqtt5.PublishPacket(
                    topic=wire.presence_topic(config.thing),
                    payload=lost,
                    qos=mqtt5.QoS.AT_LEAST_ONCE,
                ),
            ),
            session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            extended_validation_and_flow_control_options=(
                flow.AWS_IOT_CORE_DEFAULTS if connection.limit_rate else flow.NONE
            ),
            min_reconnect_delay_ms=round(connection.reconnect_min_seconds * 1000),
            max_reconnect_delay_ms=round(connection.reconnect_max_seconds * 1000),
            ping_timeout_ms=round(connection.ping_timeout_seconds * 1000),
            connack_timeout_ms=10_000,
            on_publish_callback_fn=self._on_publish,
            on_lifecycle_event_stopped_fn=self._on_stopped,
            on_lifecycle_event_connection_success_fn=self._on_connected,
            on_lifecycle_event_connection_failure_fn=self._on_failure,
            on_lifecycle_event_disconnection_fn=self._on_disconnected,
        )

    def _on_publish(self, data: mqtt5.PublishReceivedData) -> None:
        packet = data.publish_packet
        topic = packet.topic
        if not topic.startswith(
            "fleet/"
        ):  # an answer of Jobs, which has its own listener: nothing of ours to keep
            return
        # First of all: were anything to fail before this, awscrt would acknowledge for us and the command be lost.
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
            error = future.exception()
            codes = [] if error else [int(code) for code in future.result().reason_codes]
            if error is None and all(code < _FIRST_FAILURE for code in codes):
                self._subscribed = True
                event("mqtt.subscribed")
                return
            event("mqtt.subscribe_refused", level=logging.ERROR, error=error, codes=codes)
            self.rejoin(after_seconds=_SUBSCRIBE_AGAIN_SECONDS)

        self.client.subscribe(
            mqtt5.SubscribePacket(subscriptions=[subscription])
        ).add_done_callback(settled)

    def _on_failure(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = (
            f", reason code {int(data.connack_packet.reason_code)}" if data.connack_packet else ""
        )
        self._disconnected(f"{getattr(data.exception, 'name', data.exception)}{code}")

    def _on_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        self._online.clear()
        packet = cast(
            "mqtt5.DisconnectPacket | None", data.disconnect_packet
        )  # None: the line broke
        if (
            packet is not None
            and packet.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        ):
            # Two agents with one identity would otherwise throw each other out as fast as they can connect.
            pause = self._taken_over_seconds * random.uniform(1.0, 1.5)  # noqa: S311 - jitter
            self._taken_over_seconds = min(2 * self._taken_over_seconds, _TAKEN_OVER_MAX_SECONDS)
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


def _socket_options() -> io.SocketOptions:
    options = io.SocketOptions()
    options.connect_timeout_ms = 10_000
    return options
