"""The line to AWS: HTTP/1.1 connections that are kept, bounded in number, time and answer."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import botocore

from service.adapters.aws.client.connection import Connection, written
from service.adapters.aws.client.failures import NoAnswerError
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.settings import AwsSettings

_KEPT_SECONDS: Final = 30
# What a second one of changes nothing (source: RFC 9110, 9.2.1).
_SAFE: Final = frozenset({"GET", "HEAD"})
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt of a call, signed.

    Attributes:
        service: as botocore names it.
        operation: as AWS's model names it.
        parameters: what was asked, for whoever answers in AWS's place.
        method: of HTTP.
        url: encoded.
        headers: with the signature.
        body: may be empty.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back; headers are found by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line(Protocol):
    """Sends one request, once."""

    async def send(self, request: Request, *, seconds: float) -> Reply:
        """The reply, whatever its status.

        Args:
            request: what is sent.
            seconds: for all of it, connecting apart.

        Raises:
            NoAnswerError: none came, or not all of it.
        """
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


class Origin(NamedTuple):
    """Where connections go; those to one origin are kept together."""

    scheme: str
    host: str
    port: int


class HttpLine:
    """Answers ``Line`` over kept connections: no redirect, no cookie, no proxy of the environment.

    Shares bound the calls, so the line bounds no connections: who waits is served in turn there. It
    belongs to the event loop of its first request.

    Args:
        settings: how long to connect.
        trust: whom to believe that they are AWS; ``None``: ``authorities``.

    Raises:
        ConfigurationError: the settings' bundle is none.
    """

    def __init__(self, settings: AwsSettings, *, trust: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        # At the start, so that a wrong file is told then and not with the first call.
        bundle = settings.ca_bundle
        self._trust = authorities(bundle) if bundle and trust is None else trust
        # The one used last stands last, so that those which nobody needs grow old.
        self._idle: dict[Origin, deque[Connection]] = {}
        self._pruning: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(self, request: Request, *, seconds: float) -> Reply:
        try:
            origin, target, host = _parts(request.url)
            sent = written(request.method, target, host, request.headers, request.body)
        except ValueError as error:
            raise NoAnswerError(f"not sent: {error}", is_lost=False) from None
        is_head = request.method == "HEAD"
        kept = self._kept(origin)
        if kept is not None:
            try:
                return await self._ask(origin, kept, sent, is_head=is_head, seconds=seconds)
            except NoAnswerError:
                # The other end may close a kept connection at any moment, also in this one.
                if not (kept.was_closed and kept.is_silent and request.method in _SAFE):
                    raise
        fresh = await self._connect(origin)
        return await self._ask(origin, fresh, sent, is_head=is_head, seconds=seconds)

    async def close(self) -> None:
        self._is_closed = True
        if self._pruning is not None:
            self._pruning.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()

    async def _ask(
        self, origin: Origin, connection: Connection, sent: bytes, *, is_head: bool, seconds: float
    ) -> Reply:
        status, headers, body = await connection.ask(sent, is_head=is_head, seconds=seconds)
        if connection.is_usable and not self._is_closed:
            self._keep(origin, connection)
        else:
            connection.abort()
        return Reply(status=status, headers=headers, body=body)

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        trust = None
        if origin.scheme == "https":
            trust = self._trust = self._trust or authorities()
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), origin.host, origin.port, ssl=trust
                )
        # Not one byte of the request was sent.
        except (OSError, ValueError) as error:
            raise NoAnswerError(type(error).__name__, is_lost=False) from None
        return connection

    def _kept(self, origin: Origin) -> Connection | None:
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            if connection.is_usable:
                return connection
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(origin, deque()).append(connection)
        if self._pruning is None:
            self._pruning = loop.call_later(_KEPT_SECONDS, self._prune, loop)

    def _prune(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what nobody needed for long: the other end will, perhaps when it is needed."""
        self._pruning = None
        old = loop.time() - _KEPT_SECONDS
        for origin, kept in [*self._idle.items()]:
            while kept and (kept[0].idle_since <= old or not kept[0].is_usable):
                kept.popleft().abort()
            if not kept:
                del self._idle[origin]
        if self._idle:
            self._pruning = loop.call_later(_KEPT_SECONDS / 2, self._prune, loop)


def _parts(url: str) -> tuple[Origin, str, str]:
    """Origin, target and host of an encoded address."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return _origin(scheme, host), f"/{path}", host


@lru_cache(maxsize=1024)
def _origin(scheme: str, host: str) -> Origin:
    parts = urlsplit(f"{scheme}://{host}")
    # Fail closed: what is no host would be left out of the request.
    if parts.netloc != host or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("an address without a host or a path")
    return Origin(scheme, parts.hostname, parts.port or _PORTS[scheme])


@lru_cache(maxsize=4)
def authorities(bundle: str | None = None) -> ssl.SSLContext:
    """Whom to believe that they are AWS.

    Args:
        bundle: a file of theirs, and of nobody else; ``None``: the one that botocore brings.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    file = bundle or str(Path(botocore.__file__).parent / "cacert.pem")
    try:
        context = ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"AWS_CA_BUNDLE is `{file}`, which is no file of certificates in PEM form"
        ) from error
    # Fail closed: of a file without any nobody is believed, and each call would fail instead.
    if not context.cert_store_stats()["x509"]:
        raise ConfigurationError(f"AWS_CA_BUNDLE is `{file}`, which holds no certificate")
    return context
