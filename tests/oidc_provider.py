"""A small OpenID Connect provider on loopback: real sockets, a key of its own."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class OidcProvider:
    """Answers discovery, keys, authorization and tokens.

    Attributes:
        client_id: the one client that it knows.
        client_secret: of it, which it wants in the form (``client_secret_post``).
        claims: of whoever signs in next, beside issuer, audience and times.
        key: that its ID tokens are signed with; the public part of ``published`` is told.
        published: see ``key``.
    """

    client_id: str = "the-pool"
    client_secret: str = field(default_factory=secrets.token_urlsafe)
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    published: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    key: ec.EllipticCurvePrivateKey | None = None
    _codes: set[str] = field(default_factory=set[str])

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def issuer(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def discovery(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0, section 3."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def keys(self) -> dict[str, Any]:
        """The one key, as RFC 7517 has it."""
        algorithm = ECAlgorithm(ECAlgorithm.SHA256)
        told = json.loads(algorithm.to_jwk(self.published.public_key()))
        return {"keys": [told | {"kid": "one", "use": "sig", "alg": "ES256"}]}

    def authorized(self, query: dict[str, str]) -> str:
        """Where somebody who has signed in is sent back to."""
        assert query["client_id"] == self.client_id
        self._codes.add(code := secrets.token_urlsafe())
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def tokens(self, form: dict[str, str]) -> dict[str, Any] | None:
        """For a code, once; ``None``: refused."""
        if form.get("client_secret") != self.client_secret or form["code"] not in self._codes:
            return None
        self._codes.discard(form["code"])
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        claims = {"iss": self.issuer, "aud": self.client_id, **times, **self.claims}
        token = jwt.encode(
            claims, self.key or self.published, algorithm="ES256", headers={"kid": "one"}
        )
        return {"id_token": token, "access_token": "opaque", "token_type": "Bearer"}


def _handler(provider: OidcProvider) -> type[BaseHTTPRequestHandler]:
    answers: dict[str, Callable[[], dict[str, Any]]] = {
        "/.well-known/openid-configuration": provider.discovery,
        "/keys": provider.keys,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = urlsplit(self.path)
            if at.path == "/authorize":
                asked = {key: values[0] for key, values in parse_qs(at.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorized(asked))
                self.end_headers()
            else:
                self._tell(answers[at.path]())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._tell(provider.tokens({key: one[0] for key, one in parse_qs(body).items()}))

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's
            """Say nothing."""

        def _tell(self, document: dict[str, Any] | None) -> None:
            self.send_response(400 if document is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document or {"error": "invalid_client"}).encode())

    return Handler
