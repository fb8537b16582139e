"""POSTs an event to a tenant's target, on a connection to an address that was looked at.

The name is resolved here, each address is held against `domain.public_addresses`, and the socket is
connected to the very address that was looked at, never to the name: whoever answers otherwise a
moment later (DNS rebinding) is not asked. The connected socket is looked at once more. Nothing else
takes part: no proxy of the environment, no redirect (an answer that names another place is a
failure: Standard Webhooks 1.0, "Delivery success and failure"), no connection that is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

import httptools

from service.domain.webhooks import callable_addresses, target
from service.errors import InvalidRequestError
from service.ports.webhooks import Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Resolve = Callable[[str], Awaitable[Sequence[str]]]

SECONDS: Final = 15.0
"""For all of it, as the form proposes: "15-30s"."""
_CONNECT_SECONDS: Final = 5.0
_HEAD_BYTES: Final = 16 * 1024
_PORT: Final = 443
_DELIVERED: Final = range(200, 300)


class _NotSentError(Exception):
    """Nothing was delivered; the word says why."""


@dataclass
class _Answer:
    """What llhttp finds of an answer: whether its head is whole."""

    is_whole: bool = False

    def on_headers_complete(self) -> None:
        """The status is known: nothing more of the answer is wanted."""
        self.is_whole = True


async def resolved(host: str) -> Sequence[str]:
    """All addresses of a name, by the resolver of the machine."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, _PORT, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM
    )
    return [str(one[4][0]) for one in found]


@cache
def believed() -> ssl.SSLContext:
    """The system's authorities, read once a process: that takes some 25 ms."""
    return ssl.create_default_context()


@dataclass(frozen=True, kw_only=True)
class PublicSender:
    """Answers ``ports.WebhookSender``.

    Attributes:
        resolve: tells the addresses of a name.
        callable_of: which of them may be called, or none; a test's receiver is on loopback.
        port: of every target; a test's is another.
        tls: how a target's certificate is proved.
    """

    resolve: Resolve = resolved
    callable_of: Callable[[Sequence[str]], Sequence[str]] = callable_addresses
    port: int = _PORT
    seconds: float = SECONDS
    tls: ssl.SSLContext = field(default_factory=believed, repr=False)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.seconds):
                outcome = await self._status(url, headers, body)
        except TimeoutError:
            outcome = "too-slow"
        except _NotSentError as error:
            outcome = str(error)
        return Sent(
            delivered=outcome.isdecimal() and int(outcome) in _DELIVERED,
            outcome=outcome,
            milliseconds=int((time.monotonic() - began) * 1000),
        )

    async def _status(self, url: str, headers: Mapping[str, str], body: bytes) -> str:
        try:
            host, path = target(url)
        except InvalidRequestError as error:
            # Fail closed: a row that somebody wrote by hand is held to the same.
            raise _NotSentError("no-target") from error
        reader, writer = await self._connected(host)
        try:
            writer.write(_request(host, path, headers, body))
            await writer.drain()
            return await _answered(reader)
        except (OSError, ssl.SSLError) as error:
            raise _NotSentError("no-connection") from error
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    async def _connected(self, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an address of the name that may be called, proved to be the name's."""
        try:
            found = await self.resolve(host)
        except (OSError, UnicodeError) as error:
            raise _NotSentError("no-address") from error
        if not found:
            raise _NotSentError("no-address")
        addresses = self.callable_of(found)
        # Fail closed: of a name with one address that must not be called, none is.
        if not addresses:
            raise _NotSentError("not-public")
        for address in addresses[:3]:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(
                        address, self.port, ssl=self.tls, server_hostname=host, limit=_HEAD_BYTES
                    )
            except ssl.SSLError as error:
                raise _NotSentError("tls") from error
            except (OSError, TimeoutError):
                continue
            peer = str(writer.get_extra_info("peername")[0])
            # Fail closed: whatever happened on the way, this is who would read the event.
            if not self.callable_of([peer]):
                writer.transport.abort()
                raise _NotSentError("not-public")
            return reader, writer
        raise _NotSentError("no-connection")


def _request(host: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        "User-Agent: cedarfleet-webhooks",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


async def _answered(reader: asyncio.StreamReader) -> str:
    """The status of the answer; nothing else of it is read."""
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    read = 0
    while not answer.is_whole:
        data = await reader.read(4096)
        read += len(data)
        if not data or read > _HEAD_BYTES:
            raise _NotSentError("no-http")
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            break
        except httptools.HttpParserError as error:
            if not answer.is_whole:
                raise _NotSentError("no-http") from error
    return str(parser.get_status_code())
