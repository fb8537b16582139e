"""A token proved for the first time, and again: beside PyJWT's own way to keys and claims.

The reference is what PyJWT's documentation shows: ``PyJWKClient`` with its defaults (the keys are
kept for 300 s) and ``jwt.decode``, each time anew
(https://pyjwt.readthedocs.io/en/stable/usage.html#retrieve-rsa-signing-keys-from-a-jwks-endpoint).
Ours also asks for tenant, machine and revocations; both ask nobody but this process while measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import jwt
from jwt.algorithms import RSAAlgorithm

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.operations.authentication import Authenticate
from service.operations.machine_admission import MachineAdmission
from service.operations.revocations import Revocations
from service.settings import TokenSettings
from tests.benchmarks.rows import Row, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

_POLICIES: Final = Path(__file__).parents[2] / "policies"
_TOKENS: Final = 1000
_MISS, _HIT = 1.5, 50.0


def rows(rounds: int) -> Iterator[Row]:
    """Microseconds of CPU a token, of so many tokens seen once, and of one seen so often."""
    pool = MemoryUserPool("acme")
    tokens = [pool.id_token(f"person-{number}", ["managers"]) for number in range(_TOKENS)]
    with _keys_of(pool) as url:
        client = jwt.PyJWKClient(url)

        def theirs(token: str) -> None:
            key = client.get_signing_key_from_jwt(token)
            jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=pool.client_id,
                issuer=pool.tenant.issuer,
            )

        theirs(tokens[0])  # the keys are had by then
        for name, times, sent in (
            ("first seen", _MISS, tokens),
            ("seen before", _HIT, tokens[:1] * _TOKENS),
        ):
            reference, ours = interleaved(
                rounds,
                lambda sent=sent: _microseconds(lambda: [theirs(token) for token in sent]),
                lambda sent=sent: _ours(pool, sent),
            )
            yield compare(
                name=f"PyJWT's CPU for a token, beside ours, {name}",
                ours=reference,
                reference=ours,
                unit="us",
                at_least=times,
                note="`PyJWKClient` and `jwt.decode`; ours with tenant, machine and revocations",
            )


def _ours(pool: MemoryUserPool, tokens: Sequence[str]) -> float:
    ports = MemoryPorts.around(CedarAuthorizer(_POLICIES))
    pool.join(ports)
    authenticate = Authenticate(
        tenants=ports.tenants,
        signing_keys=ports.signing_keys,
        clock=ports.clock,
        settings=TokenSettings(),
        revocations=Revocations(ports.revocations, ports.clock),
        machines=MachineAdmission(ports.machine_records, ports.clock),
    )
    headers = [f"Bearer {token}" for token in tokens]

    async def all_of_them() -> float:
        if headers[0] == headers[-1]:
            await authenticate(headers[0])
        begun = time.process_time()
        for header in headers:
            await authenticate(header)
        return (time.process_time() - begun) * 1e6 / len(headers)

    return asyncio.run(all_of_them())


def _microseconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1e6 / _TOKENS


@contextmanager
def _keys_of(pool: MemoryUserPool) -> Generator[str]:
    """The address of the pool's keys."""
    key = RSAAlgorithm.to_jwk(pool.key.public_key(), as_dict=True)
    body = json.dumps(
        {"keys": [{**key, "kid": pool.key_id, "use": "sig", "alg": "RS256"}]}
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
        finally:
            server.shutdown()
            thread.join()
