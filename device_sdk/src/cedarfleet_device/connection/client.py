"""The one builder of MQTT 5 clients: mutual TLS, host and port, time limits, the rate limit."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from awscrt import http, io, mqtt5

from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.hardware_key import HardwareKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cedarfleet_device.config import DeviceConfig

_CONNECT_MS: Final = 10_000  # the TCP and TLS handshakes, and again the CONNACK
_GOODBYE_SECONDS: Final = 5.0
_CODES: Final = mqtt5.ConnectReasonCode
_REFUSED: Final = {
    int(_CODES.NOT_AUTHORIZED): (
        "the IoT policy refuses this thing, or the certificate is not attached to the thing or not"
        " active"
    ),
    int(_CODES.CLIENT_IDENTIFIER_NOT_VALID): "the thing name is not accepted as client id",
    int(_CODES.SERVER_BUSY): "the broker is busy; it heals by itself",
}
# Beyond it this process simulates many devices, and looking would cost too much.
_MOST_DESCRIPTORS: Final = 64


def ignore(_data: object) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """What is told of a client's life, on awscrt's thread; each must be short."""

    connected: Callable[[mqtt5.LifecycleConnectSuccessData], None]
    not_connected: Callable[[mqtt5.LifecycleConnectFailureData], None]
    stopped: Callable[[mqtt5.LifecycleStoppedData], None]
    disconnected: Callable[[mqtt5.LifecycleDisconnectData], None] = ignore
    message: Callable[[mqtt5.PublishReceivedData], None] = ignore


class NotAcceptedError(CloudError):
    """The broker did not accept a connection.

    Args:
        address: host and port.
        code: reason code of the CONNACK; None: none came.
        cause: what the runtime says of it; None: there was no answer in time.

    Attributes:
        reason: cause and code, as the runtime names them.
        words: what it means and what to do, as far as the broker's code tells.
    """

    def __init__(self, address: str, *, code: int | None, cause: str | None) -> None:
        words = cause or "no answer"
        if code is not None:
            words = f"{words}, reason code {code}"
        super().__init__(f"`{address}` did not accept the connection: {words}")
        self.reason = words
        self.code = code
        self.cause = cause

    @property
    def words(self) -> str:
        """The reason as a person reads it."""
        if self.cause is None and self.code is None:
            return "the broker does not answer the MQTT CONNECT"
        if self.code is None:
            return f"not connected ({self.reason}): `cedarfleet-device doctor` says what is wrong"
        meaning = _REFUSED.get(self.code, "see MQTT 5 section 3.2.2.2")
        return f"the broker refuses (reason code {self.code}): {meaning}"


def tls_context(
    certificate: bytes,
    key: bytes | HardwareKey,
    authority: bytes,
    *,
    protocols: Sequence[str] = (),
) -> io.ClientTlsContext:
    """Mutual TLS from PEM; agents of one process may share it, which makes connecting cheaper.

    Args:
        certificate: of the device.
        key: of it, or where that is.
        authority: of the endpoint; several stand one behind the other.
        protocols: that are announced (``routes.application_protocols``).

    Raises:
        ConfigError: not PEM, or key and certificate do not belong together.
    """
    in_hardware = isinstance(key, HardwareKey)
    try:
        options = (
            key.tls_options(certificate)
            if in_hardware
            else io.TlsContextOptions.create_client_with_mtls(certificate, key)
        )
        options.override_default_trust_store(authority)
        options.min_tls_ver = io.TlsVersion.TLSv1_2
        if protocols:
            options.alpn_list = list(protocols)
        return io.ClientTlsContext(options)
    except ConfigError:
        raise
    # The runtime raises errors of its own, RuntimeError and ValueError alike, for what it cannot
    # read: whatever it is, these three files are the cause.
    except Exception as error:
        if in_hardware:
            raise ConfigError(
                "the key of `[hardware_key]` cannot be used: are `token` and `label` those of the"
                " chip, is the PIN right, and is `certificate_file` of that key and `ca_file` whole"
                f" PEM? ({error})"
            ) from error
        raise ConfigError(
            "certificate, key or authority cannot be used for TLS: do `certificate_file` and"
            f" `key_file` belong together, and is each whole PEM? ({error})"
        ) from error


def build_client(
    config: DeviceConfig,
    *,
    tls: io.ClientTlsContext,
    connect: mqtt5.ConnectPacket,
    listeners: Listeners,
    session: mqtt5.ClientSessionBehaviorType = mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
) -> mqtt5.Client:
    """A client of the configured endpoint that is not started.

    Started, it connects again by itself.

    Args:
        config: host and port, ``[connection]``.
        tls: of ``tls_context``.
        connect: identity, session expiry and last will.
        listeners: what is told.
        session: whether the broker is asked for the session that it holds.
    """
    times = config.connection
    flow = mqtt5.ExtendedValidationAndFlowControlOptions
    options = io.SocketOptions()
    options.connect_timeout_ms = _CONNECT_MS
    return mqtt5.Client(
        mqtt5.ClientOptions(
            host_name=config.endpoint,
            port=config.port,
            tls_ctx=tls,
            socket_options=options,
            http_proxy_options=_proxy(config),  # pyright: ignore[reportArgumentType] - may be None
            connect_options=connect,
            session_behavior=session,
            extended_validation_and_flow_control_options=(
                flow.AWS_IOT_CORE_DEFAULTS if times.limit_rate else flow.NONE
            ),
            min_reconnect_delay_ms=round(config.first_pause_seconds * 1000),
            max_reconnect_delay_ms=round(config.last_pause_seconds * 1000),
            ping_timeout_ms=round(times.ping_timeout_seconds * 1000),
            connack_timeout_ms=_CONNECT_MS,
            on_publish_callback_fn=listeners.message,
            on_lifecycle_event_stopped_fn=listeners.stopped,
            on_lifecycle_event_connection_success_fn=listeners.connected,
            on_lifecycle_event_connection_failure_fn=listeners.not_connected,
            on_lifecycle_event_disconnection_fn=listeners.disconnected,
        )
    )


def _proxy(config: DeviceConfig) -> http.HttpProxyOptions | None:
    """What awscrt asks to carry the connection; TLS goes through it unread."""
    if (proxy := config.proxy) is None:
        return None
    kinds = http.HttpProxyAuthenticationType
    return http.HttpProxyOptions(
        proxy.host,
        proxy.port,
        auth_type=kinds.Basic if proxy.user else kinds.Nothing,
        auth_username=proxy.user or None,  # pyright: ignore[reportArgumentType] - may be None
        auth_password=proxy.password if proxy.user else None,  # pyright: ignore[reportArgumentType]
        connection_type=http.HttpProxyConnectionType.Tunneling,
    )


def failure(config: DeviceConfig, data: mqtt5.LifecycleConnectFailureData) -> NotAcceptedError:
    """Why a connection was not made."""
    # Without a CONNACK there is no packet, which awscrt's types do not know.
    code = int(data.connack_packet.reason_code) if data.connack_packet else None
    cause = str(getattr(data.exception, "name", data.exception))
    return NotAcceptedError(f"{config.endpoint}:{config.port}", code=code, cause=cause)


def goodbye() -> mqtt5.DisconnectPacket:
    """Ends a connection so that the broker does not send the last will."""
    return mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)


class BriefConnection:
    """A connection for a few questions; as a context manager it gives the connected client.

    Args:
        config: the endpoint.
        tls: of ``tls_context``.
        connect: identity and session expiry.
        session: whether the broker is asked for the session that it holds.
        message: gets what the broker sends.
        seconds: for the broker's answer.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        tls: io.ClientTlsContext,
        connect: mqtt5.ConnectPacket,
        session: mqtt5.ClientSessionBehaviorType,
        message: Callable[[mqtt5.PublishReceivedData], None] = ignore,
        seconds: float,
    ) -> None:
        self._config = config
        self._seconds = seconds
        self._settled, self._stopped = threading.Event(), threading.Event()
        self._failure: NotAcceptedError | None = None
        self._client = build_client(
            config,
            tls=tls,
            connect=connect,
            session=session,
            listeners=Listeners(
                connected=lambda _: self._settled.set(),
                not_connected=self._not_connected,
                stopped=lambda _: self._stopped.set(),
                message=message,
            ),
        )

    def __enter__(self) -> mqtt5.Client:
        """Connect.

        Raises:
            NotAcceptedError: refused, or no answer in time.
        """
        self._client.start()
        answered = self._settled.wait(self._seconds)
        if answered and self._failure is None:
            return self._client
        self._settled.set()
        self._end()
        address = f"{self._config.endpoint}:{self._config.port}"
        raise self._failure or NotAcceptedError(address, code=None, cause=None)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _not_connected(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        if not self._settled.is_set():  # else it is no more than that we gave up
            self._failure = failure(self._config, data)
        self._settled.set()

    def _end(self) -> None:
        self._client.stop(goodbye())
        self._stopped.wait(_GOODBYE_SECONDS)


def device_connection(
    config: DeviceConfig, *, tls: io.ClientTlsContext, seconds: float
) -> BriefConnection:
    """A brief connection as the device itself.

    The commands that the broker holds belong to the agent: the session is kept, nothing of it
    acknowledged.
    """
    return BriefConnection(
        config,
        tls=tls,
        connect=mqtt5.ConnectPacket(
            client_id=config.thing,
            session_expiry_interval_sec=config.connection.session_expiry_seconds,
        ),
        session=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
        message=_leave_unacknowledged,
        seconds=seconds,
    )


def _leave_unacknowledged(data: mqtt5.PublishReceivedData) -> None:
    # None for QoS 0.
    acquire: Callable[[], object] | None = data.acquire_publish_acknowledgement_control
    if acquire is not None and data.publish_packet.topic.startswith("fleet/"):
        acquire()


def send_at_once(port: int) -> int:
    """Set TCP_NODELAY on this process's connections to ``port``; how many there were.

    Nagle's algorithm would hold a state back for the broker's delayed ACK, some 40 ms. The runtime
    has no option for it, so it is set on its socket from outside (Linux: ``/proc/self/fd``).
    """
    found = 0
    try:
        descriptors = list(Path("/proc/self/fd").iterdir())
    except OSError:  # not Linux: slower, not wrong
        return 0
    if len(descriptors) > _MOST_DESCRIPTORS:
        return 0
    for descriptor in descriptors:
        with suppress(OSError, ValueError):  # no socket, not connected, or closed meanwhile
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
            # Of a copy: closing it leaves the runtime's descriptor open.
            with socket.socket(fileno=os.dup(int(descriptor.name))) as connection:
                peer = connection.getpeername()
                if (
                    connection.type == socket.SOCK_STREAM
                    and isinstance(peer, tuple)
                    and peer[1] == port
                ):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
