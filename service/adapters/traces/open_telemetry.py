"""Spans by OpenTelemetry's API; where they go is the choice of whoever installs its SDK.

The header `traceparent` is read as W3C "Trace Context" says. Whoever calls may send one, so it says
in which trace a request stands and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.errors import ConfigurationError
from service.ports.traces import SpanKind

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from service.ports.traces import Note

_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
}
_NO_PROVIDERS: Final = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)


class OpenTelemetryTraces:
    """Answers ``ports.Traces``.

    Args:
        provider: of the SDK; ``None``: the process's own, as OpenTelemetry's variables make it.

    Raises:
        ConfigurationError: there is none, so that every span would be lost.
    """

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        found = provider or trace.get_tracer_provider()
        if isinstance(found, _NO_PROVIDERS):
            raise ConfigurationError(
                "CEDARFLEET_TRACES is `opentelemetry`, and nothing takes the spans: install"
                " OpenTelemetry's SDK with an exporter, and start by `opentelemetry-instrument`"
                " (docs/operations.md)"
            )
        self._tracer = found.get_tracer("cedarfleet")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, kind: SpanKind, *, carrier: Mapping[str, str] | None = None
    ) -> Generator[_Span]:
        """See ``ports.Traces``."""
        context = None if carrier is None else self._propagator.extract(carrier)
        # Not the SDK's own record of an exception: its words may quote what was asked.
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=_KINDS[kind],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            ours = _Span(span)
            try:
                yield ours
            except BaseException as error:
                ours.fail(type(error).__name__)
                raise


class _Span:
    """Answers ``ports.Span``."""

    __slots__ = ("_failed", "_span")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._failed = False

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, name: str, value: Note) -> None:
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        # The first word is the nearest to what went wrong.
        if not self._failed:
            self._failed = True
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, kind))
            self._span.set_attribute("error.type", kind)
