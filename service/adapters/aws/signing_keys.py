"""Signing keys of user pools, fetched from the JWKS address in each tenant's registry row."""

from __future__ import annotations

import http.client
import json
import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm

from service import deadline
from service.bounded_cache import BoundedCache
from service.errors import UnavailableError
from service.single_flight import SingleFlight

if TYPE_CHECKING:
    import ssl
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
# Of the time for which keys are used, after which they are fetched while nobody waits.
_REFRESHED: Final = 0.8
_MAX_POOLS: Final = 10_000
_MAX_KEPT_BYTES: Final = 32 * 1024 * 1024
# Of an RSA key of 4,096 bits with its id, in this process; measured, and rounded up.
_KEY_BYTES: Final = 4 * 1024


@dataclass(frozen=True, kw_only=True)
class _KeySet:
    """A pool's keys as they were fetched; times are seconds of a monotonic clock."""

    keys: Mapping[str, RSAPublicKey]
    fetched_at: float


class JwksKeys:
    """The keys of every tenant's pool.

    Keys are fetched again before their time is over, while they are still used. Where the address
    gives none then, the last good ones are used for a bounded grace: else an outage of it would
    refuse everybody. A key id that is not among them is asked for at a bounded pace.

    Args:
        settings: where keys are fetched from, and how long they are used.
        calls: fetches run on its pool, never on the event loop.
        timeout_seconds: for connecting and for each read.
        authorities: whom to believe that they are AWS; ``None``: those of the system.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: JwksSettings,
        *,
        calls: AwsCalls,
        timeout_seconds: float,
        authorities: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._calls = calls
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._authorities = authorities
        self._clock = clock
        self._good_seconds = settings.cache_seconds + settings.grace_seconds
        self._sets: BoundedCache[str, _KeySet] = BoundedCache(
            max_entries=_MAX_POOLS, max_bytes=_MAX_KEPT_BYTES, clock=clock
        )
        self._fetches: SingleFlight[str, _KeySet] = SingleFlight(
            pause_seconds=min(settings.again_seconds, _AFTER_FAILURE_SECONDS), clock=clock
        )

    async def find(self, tenant: Tenant, key_id: str) -> RSAPublicKey | None:
        known = self._sets.get(tenant.issuer)
        age = math.inf if known is None else self._clock() - known.fetched_at
        if known is not None and age < self._settings.cache_seconds:
            if (key := known.keys.get(key_id)) is not None:
                self._refresh(tenant, age)
                return key
            if age < self._settings.again_seconds:
                return None
        try:
            async with deadline.within(_KEYS):
                fetched = await self._fetches.ask(tenant.issuer, partial(self._fetched, tenant))
        except UnavailableError:
            # Fail closed: of a key that was never seen nobody knows whether it is the pool's.
            if known is None or key_id not in known.keys or not self._is_good(known):
                raise
            log.warning("jwks.grace", pool=tenant.pool_id, seconds=round(age))
            return known.keys[key_id]
        return fetched.keys.get(key_id)

    def _is_good(self, known: _KeySet) -> bool:
        return self._clock() < known.fetched_at + self._good_seconds

    def _refresh(self, tenant: Tenant, age: float) -> None:
        """Fetch keys anew that are used for a little longer, while nobody waits."""
        if age < _REFRESHED * self._settings.cache_seconds:
            return
        if self._fetches.failure(tenant.issuer) is None:
            self._fetches.begin(tenant.issuer, partial(self._fetched, tenant))

    async def _fetched(self, tenant: Tenant) -> _KeySet:
        keys = await self._calls.run(_KEYS, self._fetch, self._url(tenant))
        made = _KeySet(keys=keys, fetched_at=self._clock())
        size = _KEY_BYTES * len(keys)
        self._sets.put(tenant.issuer, made, seconds=self._good_seconds, size=size)
        return made

    def _url(self, tenant: Tenant) -> str:
        template = self._settings.url_template
        return template.format(pool=tenant.pool_id) if template else tenant.jwks_uri

    def _fetch(self, url: str) -> dict[str, RSAPublicKey]:
        """Fetch and read a key set; no redirect is followed, no environment proxy is used."""
        parts = urlsplit(url)
        if parts.hostname is None:
            raise UnavailableError(_KEYS)
        seconds = self._timeout_seconds
        connection = (
            http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=seconds, context=self._authorities
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
        )
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
