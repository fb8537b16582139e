"""Around every request: an id, a log line, security headers, and the proof that a route asked before it answered."""

import re
import time
from typing import Any, Final

import msgspec
import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api.access import Needs
from service.domain.ulids import new_ulid
from service.errors import ConfigurationError, InvalidRequestError, WrongMediaTypeError

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_JSON: Final = re.compile(r"application/json *(; *charset=\"?utf-8\"? *)?", re.IGNORECASE)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9-]{8,64}")
_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
)


def around_requests(app: ASGIApp) -> ASGIApp:
    """Wrap ``app``; the outermost layer, so that unknown paths and methods too have an id and a log line."""

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


def decided_middleware(app: ASGIApp) -> ASGIApp:
    """Refuse a success that no policy allowed: a handler that forgot to ask answers 500, not data."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_decided(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:  # noqa: PLR2004 - HTTP success
                _check(scope)
            await send(message)

        await app(scope, receive, send_decided)

    return handle


async def check_body(request: Request[Any, Any, Any]) -> None:
    """Read a JSON body by its type, to the letter: Litestar itself would take ``"60"`` for 60 and ``"null"`` for null.

    Raises:
        WrongMediaTypeError: not declared as JSON.
        InvalidRequestError: not JSON, or not of the form; names the member.
    """
    body = request.route_handler.parsed_data_field
    if body is None:
        return
    declared = request.headers.getall("content-type", [])
    if (
        len(declared) != 1 or _JSON.fullmatch(declared[0]) is None
    ):  # fail closed: a form of a foreign page is no JSON
        raise WrongMediaTypeError
    try:
        msgspec.json.decode(await request.body(), type=body.annotation)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise InvalidRequestError(path.strip("`.") or "body", problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError("body", "must be one JSON document in UTF-8") from error
    except RecursionError as error:
        raise InvalidRequestError("body", "is nested too deeply") from error


def _check(scope: Any) -> None:
    stated = scope["route_handler"].opt.get("access")
    if (
        isinstance(stated, Needs) and not scope["state"]["access"].granted
    ):  # fail closed: no decision, no answer
        raise ConfigurationError(f"a route of {sorted(stated.actions)} answered without a decision")
