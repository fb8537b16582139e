"""Debian's mosquitto with mutual TLS: a second broker, to lean on no first one's ways."""

from __future__ import annotations

import contextlib
import random
import secrets
import shutil
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from awscrt import mqtt5
from cedarfleet_device import wire
from cedarfleet_device.connection.client import tls_context
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.device_sdk.devices import TENANT, Device, Observer, write_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from awscrt import io
    from cedarfleet_device.wire import CommandMessage

PROGRAM = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_PEM = serialization.Encoding.PEM


class Authority:
    """A throw-away certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(name, name, self._key.public_key()).add_extension(
            constraints, critical=True
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(_PEM)

    def issue(
        self, common_name: str, *, days: int = 1, host: str = "localhost"
    ) -> tuple[bytes, bytes]:
        """Certificate and key as PEM; valid on ``host``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        hosts = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = _builder(
            subject, self._certificate.subject, key.public_key(), days=days
        ).add_extension(hosts, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        return certificate, key.private_bytes(_PEM, form, plain)

    def sign(self, request: str) -> bytes:
        """Certificate as PEM, for a PEM request."""
        found = x509.load_pem_x509_csr(request.encode())
        key = found.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        builder = _builder(found.subject, self._certificate.subject, key)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int = 1
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    until = now + timedelta(days=days)
    return (
        builder.serial_number(secrets.randbits(64))
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(until)
    )


def _free_port() -> int:
    """A port of those that Linux gives to nobody who asks for any.

    Of the others one may go to any connection of the machine while the broker is down (source:
    ip(7), ``ip_local_port_range``).
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", random.randrange(lowest // 2, lowest)))  # noqa: S311 - no secret
            return int(free.getsockname()[1])


class Mosquitto:
    """One broker process on a free loopback port; a later ``start`` keeps the port.

    Args:
        folder: of its files.
        lasting: it writes down what it holds after every change, and holds it again after a kill,
            save what it had just answered.
    """

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        self.folder = folder
        self._lasting = lasting
        self.host = "localhost"
        self.authority = Authority()
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self.authority.pem)
        certificate, key = self.authority.issue("localhost")
        (folder / "server.crt").write_bytes(certificate)
        (folder / "server.key").write_bytes(key)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._service: Observer | None = None

    def start(self) -> None:
        """Run the broker; returns when it listens."""
        file = self.folder / "mosquitto.conf"
        file.write_text(
            f"listener {self.port} 127.0.0.1\ncafile {self.ca_file}\n"
            f"certfile {self.folder}/server.crt\nkeyfile {self.folder}/server.key\n"
            "require_certificate true\nuser root\nlog_type error\nallow_anonymous true\n"
            "set_tcp_nodelay true\nmax_queued_messages 20000\nmax_inflight_messages 100\n"
            f"persistence {str(self._lasting).lower()}\npersistence_location {self.folder}/\n"
            "autosave_interval 1\nautosave_on_changes true\n"
        )
        self._process = subprocess.Popen([str(PROGRAM), "-c", str(file)])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)  # it tells nobody when it listens
            else:
                return

    @property
    def pid(self) -> int:
        """Of the running broker."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """As by ``kill -9``: what it held is gone, unless it is lasting."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def device(self, folder: Path, *, settings: Mapping[str, Any] | None = None) -> Device:
        """A device with a certificate of the broker's authority."""
        thing = wire.thing_name(TENANT, f"press-{secrets.token_hex(4)}")
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.authority.issue(thing)
        (folder / "device.crt").write_bytes(certificate)
        (folder / "device.key").write_bytes(key)
        (folder / "device.key").chmod(0o600)
        fields = {
            "thing": thing,
            "endpoint": self.host,
            "port": self.port,
            "ca_file": str(self.ca_file),
            "jobs": False,
        }
        return Device(
            thing=thing,
            folder=folder,
            config_file=write_config(folder, {**fields, **(settings or {})}),
        )

    def tls(self, name: str) -> io.ClientTlsContext:
        """A client's TLS."""
        return tls_context(*self.authority.issue(name), self.authority.pem)

    def send(self, message: CommandMessage) -> str:
        """Publish a command; the command id."""
        return self.send_all([message])[0]

    def send_all(self, messages: Sequence[CommandMessage]) -> list[str]:
        """Publish commands without waiting between them; returns when the broker has all."""
        if self._service is None:
            self._service = Observer(host=self.host, port=self.port, tls=self.tls("service"))
            self._service.__enter__()
        packets = [
            mqtt5.PublishPacket(
                topic=wire.command_topic(message.thing, message.command_id),
                payload=message.encode(),
                qos=mqtt5.QoS.AT_LEAST_ONCE,
            )
            for message in messages
        ]
        for sent in [self._service.client.publish(packet) for packet in packets]:
            sent.result(60)
        return [message.command_id for message in messages]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._service is not None:
            self._service.__exit__()
        self.kill()
