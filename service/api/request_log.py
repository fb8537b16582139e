"""Around every request: an id, one log line that sums it up, its measure, and headers of any path.

What the policies decided and why a token proved nothing stands in that line too (``request_line``).

The id is ours, so that no two requests share one in the audit trail. What a caller or the load
balancer calls the request stands beside it, under names that say whose it is.
"""

import re
import time
from typing import Any, Final

import structlog
from litestar.enums import ScopeType
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from service import deadline, request_line
from service.api import rate_limits
from service.api.request_state import CACHING, CONTENT_POLICY, LEFT, PROBLEM
from service.domain.instants import new_ulid
from service.operations.operations import Operations
from service.ports.metrics import PROBLEMS, REQUESTS

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_CALLERS_ID: Final = re.compile(rb"[A-Za-z0-9-]{8,64}")
_TRACE: Final = re.compile(rb"[A-Za-z0-9=;:-]{8,200}")
_NONE: Final = "none"
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
_SUMMED_UP: Final = (LEFT, PROBLEM)
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000"),
)


def around_requests(app: ASGIApp, operations: Operations, request_seconds: float) -> ASGIApp:
    """Wrap ``app``; outermost, so that unknown paths and methods too have an id and a log line.

    Args:
        app: what is wrapped.
        operations: whose measures are told.
        request_seconds: that a request has for all its waits.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        deadline.begin(request_seconds)
        said = request_line.begin()
        request_id = new_ulid(int(time.time() * 1000))
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, **_named_by_others(scope))
        status = 0
        size = 0
        told_at: float | None = None

        async def receive_noted() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            if message["type"] == "http.disconnect":
                state[LEFT] = True
            return message

        async def send_marked(message: Message) -> None:
            nonlocal status, size, told_at
            if message["type"] == "http.response.start":
                status = message["status"]
                if any(_is_stream(*header) for header in message["headers"]):
                    told_at = time.perf_counter()
                message["headers"] = [
                    *message["headers"],
                    *_HEADERS,
                    # Fail closed: what says nothing is of one caller and of now.
                    (b"cache-control", state.get(CACHING, "no-store").encode()),
                    (b"content-security-policy", state.get(CONTENT_POLICY, _NOTHING).encode()),
                    *rate_limits.headers(scope),
                    (b"x-request-id", request_id.encode()),
                ]
            elif message["type"] == "http.response.body":
                size += len(message["body"])
            await send(message)

        try:
            await app(scope, receive_noted, send_marked)
        finally:
            seconds = time.perf_counter() - started
            route = scope.get("path_template")
            # A stream goes on as long as its reader likes: what counts is how soon it began.
            until_told = seconds if told_at is None else told_at - started
            operations.metrics.observe(
                REQUESTS, until_told, scope["method"], route or _NONE, str(status or _NONE)
            )
            if PROBLEM in state:
                operations.metrics.count(PROBLEMS, state[PROBLEM])
            log.info(
                "request.done",
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                answer_bytes=size,
                **{name: state[name] for name in _SUMMED_UP if name in state},
                **said,
            )

    return handle


def _is_stream(name: bytes, value: bytes) -> bool:
    return name == b"content-type" and value.startswith(b"text/event-stream")


def _named_by_others(scope: Any) -> dict[str, str]:
    """How the caller and the load balancer call the request, where that could forge no line."""
    named: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _CALLERS_ID.fullmatch(value):
            named["caller_request_id"] = value.decode()
        elif name == b"x-amzn-trace-id" and _TRACE.fullmatch(value):
            named["balancer_trace_id"] = value.decode()
    return named
