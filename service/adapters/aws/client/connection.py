"""One connection of HTTP/1.1 to AWS: a request, its answer, the next request.

llhttp (by httptools, which uvicorn reads requests with) takes answers apart, strictly. What is left
to us is small: what is written, how much is taken, and when a connection may be used again.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import httptools

from service.adapters.aws.client.failures import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest answers are DynamoDB's pages of 1 MB (source: DynamoDB developer guide, "Query").
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
MAX_HEAD_BYTES: Final = 64 * 1024
# A request with a body has a length, also if that is 0 (source: RFC 9110, 8.6).
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class _TooMuchError(Exception):
    """More came than AWS ever says; the parser stops at it."""


def written(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it goes onto the connection.

    Args:
        method: of HTTP.
        target: path and query, encoded.
        host: with its port, unless that is the scheme's own.
        headers: without ``Host`` and ``Content-Length``.
        body: may be empty.

    Raises:
        ValueError: a part would be read as another line, or as another part of its own.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    ends = len(lines) - 1
    # Fail closed: what a caller gave must not begin a request of its own.
    if head.count("\n") != ends or head.count("\r") != ends or "\0" in head or " " in target:
        raise ValueError("a line end in a request's head")
    return head.encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """Asks one request at a time; whoever holds it has it alone.

    Attributes:
        is_usable: it is open, and its last answer left nothing behind.
        was_closed: by the other end, or by whoever is on the way.
        idle_since: seconds of the loop's clock, for whoever keeps it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._has_body = True
        self._is_whole = True
        self._taken = self._head_bytes = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.is_usable = False
        self.was_closed = False
        self.idle_since = 0.0

    async def ask(
        self, request: bytes, *, is_head: bool, seconds: float
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by their names in lower case, and body of the answer.

        Args:
            request: as ``written``.
            is_head: its answer has no body, whatever it says of its length.
            seconds: for all of the answer.

        Raises:
            NoAnswerError: it did not come whole; the connection is not used again.
        """
        transport = self._transport
        if transport is None or not self.is_usable:
            raise NoAnswerError("not connected", is_lost=False)
        self._begin(has_body=not is_head)
        waiter = self._waiter = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self._fail, "no answer in time")
        try:
            transport.write(request)
            return await waiter
        finally:
            self._timer.cancel()
            self._waiter = None
            # Fail closed: of an answer that nobody waits for any more the rest may still come.
            if not self._is_whole:
                self.abort()

    @property
    def is_silent(self) -> bool:
        """Whether not one byte came of the answer that was asked for last."""
        return not self._taken

    def abort(self) -> None:
        """End it at once."""
        self.is_usable = False
        if self._transport is not None:
            self._transport.abort()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_usable = True

    def data_received(self, data: bytes) -> None:
        # Fail closed: what comes unasked belongs to no request.
        if self._waiter is None or self._waiter.done():
            self.abort()
            return
        self._taken += len(data)
        if self._taken > MAX_ANSWER_BYTES + MAX_HEAD_BYTES:
            self._fail("answer too long")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # An answer that is whole stands; what follows it was never asked for.
            if self._is_whole:
                self.abort()
            else:
                self._fail("no answer of HTTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_closed = True
        self._fail("closed" if exc is None else type(exc).__name__)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._is_whole:
            raise _TooMuchError

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _TooMuchError
        known, text = name.decode("latin-1").lower(), value.decode("latin-1")
        # Several fields of one name are one list (source: RFC 9110, 5.3).
        self._headers[known] = f"{self._headers[known]}, {text}" if known in self._headers else text

    def on_headers_complete(self) -> None:
        if not self._has_body and self._parser.get_status_code() >= HTTPStatus.OK:
            self._answered(may_stay=self._parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        if self._has_body:
            self._body.append(body)
        else:
            # Fail closed: nobody knows how much of it is still to come.
            self.is_usable = False

    def on_message_complete(self) -> None:
        if self._is_whole:
            return
        if self._parser.get_status_code() < HTTPStatus.OK:
            # Not the answer yet (source: RFC 9110, 15.2).
            self._headers = {}
            return
        self._answered(may_stay=self._parser.should_keep_alive())

    def _begin(self, *, has_body: bool) -> None:
        # Anew for each answer: llhttp cannot be told that one to HEAD has no body.
        self._parser = httptools.HttpResponseParser(self)
        self._has_body, self._is_whole = has_body, False
        self._taken = self._head_bytes = 0
        self._headers, self._body = {}, []

    def _answered(self, *, may_stay: bool) -> None:
        self._is_whole = True
        if not may_stay:
            self.is_usable = False
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((self._parser.get_status_code(), self._headers, body))

    def _fail(self, kind: str) -> None:
        self.is_usable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswerError(kind, is_lost=True))
        if self._transport is not None:
            self._transport.abort()
