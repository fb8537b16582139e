"""Signing keys of user pools, fetched from the JWKS address in each tenant's registry row."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm

from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.adapters.aws.client.calls import AwsCalls
    from service.domain.tenants import Tenant
    from service.settings import JwksSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_KEYS: Final = "the user pool's signing keys"
_MAX_BYTES: Final = 64 * 1024
_MIN_RSA_BITS: Final = 2048
# A short outage of the address must not become a long one of ours.
_AFTER_FAILURE_SECONDS: Final = 2.0


@dataclass
class _Pool:
    """What is known of one pool's keys; times are seconds of a monotonic clock."""

    keys: Mapping[str, RSAPublicKey] = field(default_factory=dict[str, RSAPublicKey])
    fresh_until: float = 0
    ask_again_at: float = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class JwksKeys:
    """The keys of every tenant's pool.

    Args:
        settings: where keys are fetched from, and how long they are used.
        calls: fetches run on its pool, never on the event loop.
        timeout_seconds: for connecting and for each read.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: JwksSettings,
        *,
        calls: AwsCalls,
        timeout_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        # Bounded by the registry: only known issuers come here.
        self._pools: dict[str, _Pool] = {}

    async def find(self, tenant: Tenant, key_id: str) -> RSAPublicKey | None:
        pool = self._pools.setdefault(tenant.issuer, _Pool())
        if key_id in pool.keys and self._clock() < pool.fresh_until:
            return pool.keys[key_id]
        # Single flight: whoever waited finds the keys.
        async with pool.lock:
            now = self._clock()
            if now >= pool.ask_again_at:
                pool.ask_again_at = now + min(self._settings.again_seconds, _AFTER_FAILURE_SECONDS)
                pool.keys = await self._calls.run(_KEYS, self._fetch, self._url(tenant))
                pool.ask_again_at = now + self._settings.again_seconds
                pool.fresh_until = self._clock() + self._settings.cache_seconds
            elif now >= pool.fresh_until:
                # The last fetch failed a moment ago: nothing can be proved now.
                raise UnavailableError(_KEYS)
        return pool.keys.get(key_id)

    def _url(self, tenant: Tenant) -> str:
        template = self._settings.url_template
        return template.format(pool=tenant.pool_id) if template else tenant.jwks_uri

    def _fetch(self, url: str) -> dict[str, RSAPublicKey]:
        """Fetch and read a key set; no redirect is followed, no environment proxy is used."""
        parts = urlsplit(url)
        if parts.hostname is None:
            raise UnavailableError(_KEYS)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname, parts.port, timeout=self._timeout_seconds)
        try:
            connection.request("GET", parts.path, headers={"Accept": "application/json"})
            with connection.getresponse() as answer:
                body = answer.read(_MAX_BYTES + 1)
        except http.client.HTTPException as error:
            raise OSError(type(error).__name__) from error
        finally:
            connection.close()
        if answer.status != http.client.OK or len(body) > _MAX_BYTES:
            log.warning("jwks.refused", status=answer.status, size=len(body))
            raise UnavailableError(_KEYS)
        try:
            return read_key_set(body)
        except ValueError as error:
            log.warning("jwks.unreadable")
            raise UnavailableError(_KEYS) from error


def read_key_set(body: bytes) -> dict[str, RSAPublicKey]:
    """The usable keys of a JWK set by id: RSA public keys of at least 2,048 bits for signatures.

    Raises:
        ValueError: not a JWK set.
    """
    document: object = json.loads(body)
    entries = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no JWK set")  # noqa: TRY004 - one error for one reader
    keys: dict[str, RSAPublicKey] = {}
    for entry in cast("list[Any]", entries):
        if not isinstance(entry, dict):
            continue
        jwk = cast("dict[str, Any]", entry)
        if (
            jwk.get("kty") != "RSA"
            or jwk.get("use", "sig") != "sig"
            or jwk.get("alg", "RS256") != "RS256"
            or "d" in jwk
        ):
            continue
        try:
            key = RSAAlgorithm.from_jwk(jwk)
        except (PyJWTError, ValueError, KeyError):
            continue
        if (
            isinstance(key, RSAPublicKey)
            and key.key_size >= _MIN_RSA_BITS
            and isinstance(jwk.get("kid"), str)
        ):
            keys[jwk["kid"]] = key
    return keys
