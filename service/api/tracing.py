"""A span around each request, in the trace that its `traceparent` names."""

from http import HTTPStatus
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.ports.traces import SpanKind, Traces

_CARRIED: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate"}


def traced(app: ASGIApp, traces: Traces) -> ASGIApp:
    """Wrap ``app``, inside what gives every request its id.

    Source of the names: OpenTelemetry, "Semantic conventions for HTTP spans", HTTP server. The path
    is told as its route alone: an address may hold what nobody else is to read.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method = scope["method"]
        with traces.span(method, SpanKind.SERVER, carrier=_carrier(scope)) as span:
            span.note("http.request.method", method)
            span.note("cedarfleet.request_id", scope["state"]["request_id"])

            async def send_noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = int(message["status"])
                    if route := scope.get("path_template"):
                        span.rename(f"{method} {route}")
                        span.note("http.route", str(route))
                    span.note("http.response.status_code", status)
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.fail(str(status))
                await send(message)

            await app(scope, receive, send_noted)

    return handle


def _carrier(scope: Any) -> dict[str, str]:
    """The fields of the trace; of one that comes twice nobody knows which is meant."""
    found = [(name, text) for name, text in scope["headers"] if name in _CARRIED]
    if len({name for name, _ in found}) != len(found):
        return {}
    return {_CARRIED[name]: text.decode("latin-1") for name, text in found}
