"""The API that lets devices in, on loopback: it signs, remembers what is asked, and can fail."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator

CODE = "ABCD-EFGH"


@dataclass
class Api:
    """What devices ask, and what comes instead of an answer.

    Attributes:
        asked: each request's body, in order.
        instead: status and document of the next answers; ``None``: the line is cut after the work.
        changes: members that the good answer has instead.
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    instead: list[tuple[int, dict[str, Any]] | None] = field(
        default_factory=list["tuple[int, dict[str, Any]] | None"]
    )
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """What is told a device."""
        self.asked.append(body)
        if self.instead:
            return self.instead.pop(0)
        good = {
            "thing": f"{body['tenant']}--{body['device']}",
            "certificate": self.certificate(body["csr"]),
            "mqtt": {"host": "localhost", "port": 8883},
            "ca": "-----BEGIN CERTIFICATE-----\nroots\n-----END CERTIFICATE-----\n",
        }
        return 200, good | self.changes

    def certificate(self, csr: str) -> str:
        """A certificate for the key of a request, which must prove it."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(request.subject)
            .public_key(request.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Generator[Api]:
    """Serve on loopback; by TLS if a context is given."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/enrolments"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answered = api.answer(body)
            if answered is None:
                self.connection.close()
                return
            content = json.dumps(answered[1]).encode()
            self.send_response(answered[0])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its owner's word
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"{'https' if tls else 'http'}://localhost:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
