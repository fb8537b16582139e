"""HTTP/1.1 on one connection, bounded: what a head may hold, and how long each part may take.

uvicorn bounds how long a connection may be idle and nothing else of this, so its protocol is
extended here. What is refused here reached no route: it is counted, and logged nowhere, so that an
attack writes no log.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.api.problem_documents import MEDIA_TYPE, problem_type
from service.api.request_state import FAREWELL
from service.ports.metrics import REFUSED_BY_SERVER

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from service.ports.metrics import Metrics
    from service.settings import HttpSettings

_LINGER_SECONDS: Final = 1.0
"""How long what still comes is thrown away after a refusal. To close at once would reset the
connection, and its other end would lose the answer with it."""
_LIVE: Final = b"/health/live"  # a task that is full is alive
# What is read next of a connection.
_HEAD, _BODY, _NOTHING, _REFUSED = range(4)
_FIELD_BYTES: Final = 4  # colon, blank and line end of a field


class BoundedServerState(ServerState):
    """What the connections of a server share.

    Attributes:
        ending: from the signal on, each answer says `Connection: close`.
        ends: set with it, for answers that go on and on.
        emptied: set while no connection is open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ending = False
        self.ends = asyncio.Event()
        self.emptied = asyncio.Event()


class BoundedProtocol(HttpToolsProtocol):
    """One connection.

    A request that comes whole in one packet costs no timer.

    Args:
        bounds: of size and time.
        metrics: counts what is refused here.
        config: uvicorn's.
        server_state: shared by all connections of the server.
        others: of uvicorn's protocol.
    """

    server_state: BoundedServerState

    def __init__(
        self,
        *,
        bounds: HttpSettings,
        metrics: Metrics,
        config: Config,
        server_state: BoundedServerState,
        **others: Any,
    ) -> None:
        super().__init__(config=config, server_state=server_state, **others)
        self._bounds = bounds
        self._metrics = metrics
        self._reading = _HEAD
        self._fed = 0
        self._timed = _NOTHING
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.server_state.emptied.clear()
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self._bounds.connections_max:
            self._count("too-many-connections")
            self.transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._read_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if not self.connections:
            self.server_state.emptied.set()

    def data_received(self, data: bytes) -> None:
        if self._reading == _REFUSED:
            return
        self._fed += len(data)
        try:
            self.parser.feed_data(data)  # type: ignore[union-attr] - None only once it is lost
        except httptools.HttpParserUpgrade:
            pass  # answered as the plain request that it is too: no other protocol is spoken
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "malformed", "the request is not of HTTP/1.1")
            return
        if self._reading == _HEAD and self._fed > self._bounds.head_max_bytes:
            self._refuse_head(f"a head of more than {self._bounds.head_max_bytes} bytes")
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._time_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        # What is left of a connection that closes is timed until it is read.
        if self._write_timer is not None and not self.transport.is_closing():
            self._write_timer.cancel()
            self._write_timer = None

    # What the parser tells

    def on_message_begin(self) -> None:
        # Here and not with each byte: line ends between requests keep no connection open.
        self._unset_keepalive_if_required()
        self._reading = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._reading == _REFUSED:
            return
        bounds = self._bounds
        if len(self.headers) > bounds.header_fields_max:
            self._refuse_head(f"more than {bounds.header_fields_max} header fields")
        elif self._fed > bounds.head_max_bytes and self._head_bytes() > bounds.head_max_bytes:
            self._refuse_head(f"a head of more than {bounds.head_max_bytes} bytes")
        elif [name for name, _ in self.headers].count(b"host") != 1:
            # RFC 9112, 3.2: none or several must be refused, a proxy may have read another one.
            self._refuse(HTTPStatus.BAD_REQUEST, "no-host", "the request needs one `Host` field")
        elif len(self.tasks) >= bounds.requests_max and self.url != _LIVE:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "too many requests are open here"
            )
        else:
            self._reading = _BODY
            super().on_headers_complete()
            upgraded = self.parser.should_upgrade()  # type: ignore[union-attr] - as above
            if self.server_state.ending or upgraded:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if self._reading != _REFUSED:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._reading != _REFUSED:
            super().on_message_complete()
            self._reading, self._fed = _NOTHING, 0

    # What uvicorn tells

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._time_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._time_writing()

    def end_with_answer(self) -> None:
        """Let the answer that is open, if one is, be the last."""
        if (cycle := self._open_cycle()) is not None:
            cycle.keep_alive = False

    def shutdown(self) -> None:
        """End in order: an open request is answered, and so is one that is on its way in."""
        if (cycle := self._open_cycle()) is not None:
            cycle.keep_alive = False
        elif self._reading == _HEAD:
            self._time_reading(min(self._bounds.head_seconds, max(self._bounds.drain_seconds, 1.0)))
        else:
            super().shutdown()

    # Time

    def _watch(self) -> None:
        """Time what is read now, unless it is timed already."""
        reading = self._reading
        if reading in (self._timed, _REFUSED):
            return
        bounds = self._bounds
        if reading == _NOTHING:
            if self._read_timer is not None:
                self._read_timer.cancel()
                self._read_timer = None
            self._timed = _NOTHING
            return
        self._time_reading(bounds.head_seconds if reading == _HEAD else bounds.body_seconds)

    def _time_reading(self, seconds: float) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._timed = self._reading
        self._read_timer = self.loop.call_later(seconds, self._read_too_slowly)

    def _read_too_slowly(self) -> None:
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # it is we who do not read
            self._time_reading(self._bounds.body_seconds)
        elif self._fed == 0:
            self._count("silent")
            self.transport.close()
        else:
            part = "head" if self._reading == _HEAD else "body"
            seconds = self._bounds.head_seconds if part == "head" else self._bounds.body_seconds
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"{part}-too-slow",
                f"the request's {part} was not there within {seconds:g} seconds",
            )

    def _time_writing(self) -> None:
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self._bounds.write_seconds, self._written_too_slowly
            )

    def _written_too_slowly(self) -> None:
        self._count("answer-not-read")
        cycle = self._open_cycle()
        farewell: bytes | None = cycle.scope.get("state", {}).get(FAREWELL) if cycle else None
        if cycle is None or farewell is None or not cycle.chunked_encoding:
            self.transport.abort()
            return
        # The application goes on without it; who reads on after all finds out behind the rest.
        cycle.disconnected = True
        cycle.message_event.set()
        self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(farewell), farewell))
        self.transport.close()
        self._write_timer = self.loop.call_later(self._bounds.write_seconds, self.transport.abort)

    # Refusals

    def _head_bytes(self) -> int:
        fields = sum(len(name) + len(value) + _FIELD_BYTES for name, value in self.headers)
        return len(self.url) + fields

    def _refuse_head(self, excess: str) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            f"the request has {excess}",
        )

    def _refuse(self, status: HTTPStatus, reason: str, detail: str) -> None:
        """Answer by ourselves, once, and read nothing more."""
        self._count(reason)
        self._reading = _REFUSED
        if (cycle := self._open_cycle()) is not None:
            # What is whole may have been done: our refusal of what follows is no answer to it.
            is_another = cycle.response_started or not cycle.more_body or bool(self.pipeline)
            cycle.disconnected = True
            cycle.message_event.set()
            if is_another:
                self.transport.abort()
                return
        self.transport.write(_answer(status, reason, detail))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._read_timer is not None:
            self._read_timer.cancel()
        self.flow.resume_reading()
        self._read_timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _open_cycle(self) -> RequestResponseCycle | None:
        """The request that is not answered to its end, of several the last."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return None if cycle is None or cycle.response_complete else cycle

    def _count(self, reason: str) -> None:
        self._metrics.count(REFUSED_BY_SERVER, reason)


def _answer(status: HTTPStatus, reason: str, detail: str) -> bytes:
    """A whole answer: a problem document, after which the connection ends."""
    slow_down = "Retry-After: 1\r\n" if status is HTTPStatus.SERVICE_UNAVAILABLE else ""
    body = msgspec.json.encode(
        {
            "type": problem_type(reason),
            "title": status.phrase,
            "status": int(status),
            "detail": detail,
        }
    )
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
        f"{slow_down}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
