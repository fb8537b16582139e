"""The line to AWS: HTTP/1.1 connections that are kept, bounded in number, time and answer."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
import botocore
from yarl import URL

from service.adapters.aws.client.failures import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.settings import AwsSettings

# The largest answers are DynamoDB's pages of 1 MB (source: DynamoDB developer guide, "Query").
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_KEPT_SECONDS: Final = 30


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


class HttpLine:
    """Answers ``Line`` with aiohttp: no redirect, no cookie, no proxy of the environment.

    It belongs to the event loop of its first request.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, *, seconds: float) -> Reply:
        session = self._session or self._open()
        try:
            async with session.request(
                request.method,
                _address(request.url),
                headers=request.headers,
                data=request.body or None,
                timeout=_limits(seconds, self._settings.connect_seconds),
                allow_redirects=False,
            ) as answer:
                body = await answer.content.read(-1) if _is_short(answer) else await _read(answer)
                return Reply(status=answer.status, headers=answer.headers, body=body)
        # Not one byte was sent.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NoAnswerError(type(error).__name__, is_lost=False) from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise NoAnswerError(type(error).__name__, is_lost=True) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                # Shares bound the calls, so that who waits is served in turn.
                limit=0,
                keepalive_timeout=_KEPT_SECONDS,
                ssl=authorities(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        return self._session


@lru_cache(maxsize=256)
def _address(url: str) -> URL:
    """Parsed once: most calls go to the same few."""
    return URL(url, encoded=True)


@lru_cache(maxsize=16)
def _limits(seconds: float, connect_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds + connect_seconds, sock_connect=connect_seconds)


def authorities() -> ssl.SSLContext:
    """Whom to believe that they are AWS: the bundle that botocore brings."""
    bundle = Path(botocore.__file__).parent / "cacert.pem"
    return ssl.create_default_context(cafile=str(bundle))


def _is_short(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_length is not None and answer.content_length <= MAX_ANSWER_BYTES


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    read = bytearray()
    async for chunk in answer.content.iter_any():
        read += chunk
        # Fail closed: nobody of AWS says so much.
        if len(read) > MAX_ANSWER_BYTES:
            raise NoAnswerError("answer too long", is_lost=True)
    return bytes(read)
