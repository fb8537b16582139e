"""A device that writes MQTT 3.1.1 byte by byte: it can stay silent, or never acknowledge."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

CONNACK, PUBLISH, SUBACK = 2, 3, 9
# For what comes, however loaded the machine is. That something does not come is proved by a time of
# its own.
PATIENCE_SECONDS = 60.0
_LINE_BREAKS = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@dataclass(frozen=True, kw_only=True)
class Packet:
    """One MQTT control packet."""

    kind: int
    flags: int
    body: bytes

    @property
    def identifier(self) -> int:
        """The packet identifier of a PUBLISH at QoS 1; what is sent again keeps it."""
        (length,) = struct.unpack_from("!H", self.body)
        (identifier,) = struct.unpack_from("!H", self.body, 2 + length)
        return int(identifier)

    @property
    def payload(self) -> bytes:
        """The payload of a PUBLISH."""
        (length,) = struct.unpack_from("!H", self.body)
        # A packet identifier at QoS 1.
        return self.body[2 + length + (2 if self.flags & 0b0110 else 0) :]


class RawDevice:
    """One connection; ``certificate`` and ``key`` are PEM texts, or None for no certificate.

    ``host`` is the name that is asked for in the handshake, and must be in the server's answer.
    """

    def __init__(
        self,
        *,
        port: int,
        ca_file: Path,
        certificate: str | None = None,
        key: str | None = None,
        host: str = "localhost",
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca_file))
        if certificate is not None and key is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
                chain.write(certificate + key)
                chain.flush()
                context.load_cert_chain(chain.name)
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self._socket = context.wrap_socket(plain, server_hostname=host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection without DISCONNECT."""
        self._socket.close()

    def connect(
        self, client_id: str, *, keep_alive: int = 60, will_topic: str = "", clean: bool = True
    ) -> int:
        """The return code of CONNACK: 0 = accepted. The will, if any, is ``gone`` at QoS 1."""
        flags = (2 if clean else 0) | (0b1100 if will_topic else 0)  # clean session; will at QoS 1
        head = b"\0\4MQTT\4" + bytes([flags]) + struct.pack("!H", keep_alive)
        texts = (client_id, will_topic, "gone") if will_topic else (client_id,)
        self._send(
            0x10, head + b"".join(struct.pack("!H", len(text)) + text.encode() for text in texts)
        )
        return self.read().body[1]

    def subscribe(self, topic_filter: str, *, identifier: int = 1, qos: int = 1) -> int:
        """The return code of SUBACK: 0 or 1 = granted, 128 = refused."""
        name = topic_filter.encode()
        self._send(0x82, struct.pack("!HH", identifier, len(name)) + name + bytes([qos]))
        return self.read().body[2]

    def subscribe_to(self, topic_filters: list[str]) -> list[int]:
        """The return codes of the SUBACK of one SUBSCRIBE at QoS 1."""
        names = [each.encode() for each in topic_filters]
        body = b"".join(struct.pack("!H", len(name)) + name + b"\1" for name in names)
        self._send(0x82, struct.pack("!H", 1) + body)
        return list(self.read().body[2:])

    def publish(self, topic: str, payload: bytes) -> None:
        """QoS 0."""
        name = topic.encode()
        self._send(0x30, struct.pack("!H", len(name)) + name + payload)

    def acknowledge(self, packet: Packet) -> None:
        """PUBACK of a PUBLISH at QoS 1."""
        self._send(0x40, struct.pack("!H", packet.identifier))

    def ping(self, *, seconds: float) -> None:
        """PINGREQ and its answer, which comes when what was sent before has been dealt with.

        Raises:
            TimeoutError: no answer came.
        """
        self._send(0xC0, b"")
        self.read(seconds=seconds)

    def reset(self) -> None:
        """Break the line: RST, and no DISCONNECT."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINE_BREAKS)
        self._socket.close()

    def read(self, *, seconds: float = PATIENCE_SECONDS) -> Packet:
        """The next packet; ``seconds`` where it may be that none comes.

        Raises:
            TimeoutError: none came.
            ConnectionResetError: the broker closed the connection.
        """
        self._socket.settimeout(seconds)
        first, length, shift = self._take(1)[0], 0, 0
        while True:
            digit = self._take(1)[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return Packet(kind=first >> 4, flags=first & 15, body=self._take(length))

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the broker closes the connection in time."""
        try:
            while True:
                self.read(seconds=seconds)
        except TimeoutError:
            return False
        except (ConnectionResetError, ssl.SSLError):
            return True

    def leave_unheard(self, *, questions: int) -> None:
        """So many SUBSCRIBEs, DISCONNECT, and the connection closed without reading an answer."""
        subscribe = struct.pack("!HH", 1, 5) + b"t/any\1"
        self._socket.sendall((bytes([0x82, len(subscribe)]) + subscribe) * questions + b"\xe0\0")
        self._socket.close()

    def _send(self, first: int, body: bytes) -> None:
        digits, length = b"", len(body)
        while True:
            length, digit = divmod(length, 128)
            digits += bytes([digit | (128 if length else 0)])
            if not length:
                break
        self._socket.sendall(bytes([first]) + digits + body)

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            chunk = self._socket.recv(count - len(taken))
            if not chunk:
                raise ConnectionResetError("closed by the broker")
            taken += chunk
        return taken
