"""A device at the account's own endpoint, by MQTT 5 with its own certificate."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Self

from awscrt import io, mqtt5
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

_CONNECT_SECONDS: Final = 30
_KEEP_ALIVE_SECONDS: Final = 30
_GOODBYE_SECONDS: Final = 5


class NotConnectedError(RuntimeError):
    """The broker did not let the device in."""


@dataclass(kw_only=True)
class Device:
    """A device that was let in; as a context manager it is connected.

    Attributes:
        thing: its name, and its client id.
        closed: set when the broker ends the connection.
    """

    thing: str
    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    closed: threading.Event = field(default_factory=threading.Event)
    _settled: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _client: mqtt5.Client | None = None

    @property
    def certificate_id(self) -> str:
        """SHA-256 of the certificate (source: IoT API, `Certificate`: certificateId)."""
        read = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        return sha256(read.public_bytes(Encoding.DER)).hexdigest()

    def make_key(self) -> str:
        """Make the key; a signing request for it, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "probe")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            NotConnectedError: refused, or no answer.
        """
        for each in (self.closed, self._settled, self._stopped):
            each.clear()
        tls = io.TlsContextOptions.create_client_with_mtls(
            self.certificate_file.read_bytes(), self.key_file.read_bytes()
        )
        tls.override_default_trust_store(self.ca_file.read_bytes())
        self._client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=self.host,
                port=self.port,
                tls_ctx=io.ClientTlsContext(tls),
                connect_options=mqtt5.ConnectPacket(
                    client_id=self.thing, keep_alive_interval_sec=_KEEP_ALIVE_SECONDS
                ),
                session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
                # What this device is for is to publish more than the client would let it.
                extended_validation_and_flow_control_options=(
                    mqtt5.ExtendedValidationAndFlowControlOptions.NONE
                ),
                # One connection: the quota is one a second, and an ended one is what is waited for.
                min_reconnect_delay_ms=3_600_000,
                max_reconnect_delay_ms=3_600_000,
                on_lifecycle_event_connection_success_fn=lambda _: self._settled.set(),
                on_lifecycle_event_connection_failure_fn=self._failed,
                on_lifecycle_event_disconnection_fn=lambda _: self.closed.set(),
                on_lifecycle_event_stopped_fn=lambda _: self._stopped.set(),
            )
        )
        self._client.start()
        if not self._settled.wait(_CONNECT_SECONDS) or self.closed.is_set():
            self._end()
            raise NotConnectedError(f"{self.thing} was not let in")
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye."""
        self._end()

    def publish(self, topic: str, payloads: list[bytes], *, seconds: float) -> int:
        """Send them at once at QoS 1; how many were acknowledged in so much time."""
        assert self._client is not None  # noqa: S101 - within the context manager
        sent: list[Future[Any]] = [
            self._client.publish(
                mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
            )
            for payload in payloads
        ]
        done, _ = wait(sent, timeout=seconds)
        return sum(1 for each in done if each.exception() is None)

    def _failed(self, _: object) -> None:
        self.closed.set()
        self._settled.set()

    def _end(self) -> None:
        if self._client is not None:
            self._client.stop()
            self._stopped.wait(_GOODBYE_SECONDS)
