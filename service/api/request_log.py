"""Around every request: an id, a log line, security and rate limit headers, on any path."""

import re
import time
from typing import Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api import rate_limits
from service.domain.instants import new_ulid

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9-]{8,64}")
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)


def around_requests(app: ASGIApp) -> ASGIApp:
    """Wrap ``app``; outermost, so that unknown paths and methods too have an id and a log line."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        request_id = (
            given.decode() if _REQUEST_ID.fullmatch(given) else new_ulid(int(time.time() * 1000))
        )
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_HEADERS,
                    *rate_limits.headers(scope),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await app(scope, receive, send_marked)
        finally:
            log.info(
                "request.done",
                method=scope["method"],
                route=scope.get("path_template"),
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )

    return handle
