"""Spans of a request as an exporter of OpenTelemetry's SDK gets them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from service.adapters.aws.client.failures import AwsCallError
from service.adapters.aws.client.traced_door import TracedDoor
from service.adapters.traces.open_telemetry import OpenTelemetryTraces
from service.errors import ConfigurationError
from service.operations.operations import Operations
from service.ports.traces import UNTRACED, SpanKind
from service.settings import Settings, TokenSettings, TraceSettings
from tests.service.adapters.aws.answered_line import (
    AnsweredLine,
    FixedCredentials,
    NeverCutOff,
    Refusal,
)
from tests.service.adapters.aws.conftest import AWS
from tests.service.api.test_permissions import prepared

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from service.adapters.memory.user_pool import MemoryUserPool
    from tests.service.conftest import ServiceUnderTest

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"


class Gathered:
    """What an exporter was given."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.traces = OpenTelemetryTraces(provider)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """By their names."""
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def text(self) -> str:
        """All that left the process."""
        return "".join(span.to_json() for span in self.exporter.get_finished_spans())


def trace_of(span: ReadableSpan) -> str:
    """The id of its trace, as headers spell it."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def is_within(inner: ReadableSpan, outer: ReadableSpan) -> bool:
    """Whether one span is directly in the other."""
    context = outer.get_span_context()
    assert context is not None
    return inner.parent is not None and inner.parent.span_id == context.span_id


@pytest.fixture
def gathered() -> Gathered:
    """A provider of the SDK, with an exporter that keeps all."""
    return Gathered()


def test_a_request_is_one_trace(service: ServiceUnderTest, gathered: Gathered) -> None:
    """In the trace that `traceparent` names: its route, its status, and its decision inside."""
    ports = replace(service.ports, traces=gathered.traces)
    service.app.state.operations = Operations(ports, TokenSettings())
    answer = service.call("GET", "/v1/devices/press-01?x=", headers={"traceparent": PARENT})
    assert answer.status_code == 400
    service.call("GET", "/v1/devices/press-01", headers={"traceparent": PARENT})
    request = gathered.spans["GET /v1/devices/{device}"]
    decision = gathered.spans["authorize ViewDevice"]
    for span in (request, decision):
        assert trace_of(span) == TRACE
    assert is_within(decision, request)
    told = dict(request.attributes or {})
    assert told["http.response.status_code"] == 200
    assert told["http.route"] == "/v1/devices/{device}"
    assert dict(decision.attributes or {}) | {"cedarfleet.allowed": True} == decision.attributes
    # No token, and no address with what it asks.
    assert service.tokens["managers"].rpartition(".")[2] not in gathered.text()
    assert "x=" not in gathered.text()


def test_what_is_asked_beforehand_is_traced(service: ServiceUnderTest, gathered: Gathered) -> None:
    """A check, a why and a what-if are decided as an act is, and seen; their values stay here."""
    ports = replace(service.ports, traces=gathered.traces)
    service.app.state.operations = Operations(ports, TokenSettings())
    prepared(service)
    stop = {"command": "stop", "device": "press-01"}
    for path, body, span in (
        ("check", {"checks": [stop, stop]}, "advise on StopDevice"),
        ("explain", stop, "consider StopDevice"),
        ("simulate", {"question": stop}, "consider StopDevice"),
    ):
        gathered.exporter.clear()
        assert service.call("POST", f"/v1/permissions/{path}", json=body).status_code == 200
        decided, request = gathered.spans[span], gathered.spans[f"POST /v1/permissions/{path}"]
        assert is_within(decided, request)
        asked = len(body.get("checks", [stop]))
        told = dict(decided.attributes or {})
        assert (told["cedarfleet.asked"], told["cedarfleet.allowed"]) == (asked, asked)
    refused = service.call(
        "POST", "/v1/devices/press-01/commands", as_="emergency-responders", json={"name": "stop"}
    )
    assert "an emergency is declared" in refused.text
    explained = dict(gathered.spans["explain StopDevice"].attributes or {})
    assert explained["cedarfleet.explained"] == len(refused.json()["explained"])
    assert "emergency is" not in gathered.text()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "00-nonsense"},
        {"traceparent": PARENT.replace(TRACE, "0" * 32)},
    ],
)
def test_a_request_without_a_trace_begins_one(
    service: ServiceUnderTest, gathered: Gathered, headers: dict[str, str]
) -> None:
    """Whatever stands in the header; a request without a route has its method's name."""
    ports = replace(service.ports, traces=gathered.traces)
    service.app.state.operations = Operations(ports, TokenSettings())
    assert service.call("GET", "/nowhere", headers=headers).status_code == 404
    (span,) = gathered.exporter.get_finished_spans()
    assert (span.name, span.parent) == ("GET", None)
    assert trace_of(span) != TRACE


def test_each_call_of_aws_is_a_span(
    pools: tuple[MemoryUserPool, MemoryUserPool], gathered: Gathered
) -> None:
    """What failed says how by a code: nothing that was asked or answered."""
    acme = pools[0].tenant
    line = AnsweredLine(AWS)
    door = TracedDoor(
        AWS,
        max_tenants=1,
        line=line,
        own=FixedCredentials(),
        lanes=NeverCutOff(AWS),
        jitter=lambda: 0.0,
        traces=gathered.traces,
    )
    key = {"k": {"S": "hidden-key"}}

    async def scenario() -> None:
        with gathered.traces.span("request", SpanKind.SERVER):
            await door.tenant(acme, "dynamodb").call("GetItem", TableName="t", Key=key)
            line.answer = lambda _: Refusal("AccessDeniedException")
            with pytest.raises(AwsCallError):
                await door.own("dynamodb").call("Query", TableName="hidden-table")

    asyncio.run(scenario())
    spans = gathered.spans
    assert spans.keys() == {"request", "dynamodb.GetItem", "dynamodb.Query"}
    for name in ("dynamodb.GetItem", "dynamodb.Query"):
        assert is_within(spans[name], spans["request"])
    refused = spans["dynamodb.Query"]
    assert refused.status.status_code is StatusCode.ERROR
    assert dict(refused.attributes or {})["error.type"] == "AccessDeniedException"
    assert spans["dynamodb.GetItem"].status.status_code is StatusCode.UNSET
    for secret in (
        "hidden-key",
        "hidden-table",
        "secret words",
        "token of the tenant",
        "Signature",
    ):
        assert secret not in gathered.text()


def test_an_error_is_told_by_its_kind(gathered: Gathered) -> None:
    """Its words may quote what somebody said."""
    with (
        pytest.raises(ValueError, match="quoted"),
        gathered.traces.span("work", SpanKind.INTERNAL),
    ):
        raise ValueError("quoted words")
    (span,) = gathered.exporter.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert span.events == ()
    assert "quoted" not in gathered.text()


def test_spans_that_nobody_takes_are_refused_at_the_start() -> None:
    """By default none are made at all; with a word that nobody knows the service does not start."""
    with pytest.raises(ConfigurationError, match="opentelemetry-instrument"):
        OpenTelemetryTraces(NoOpTracerProvider())
    with pytest.raises(ConfigurationError, match="CEDARFLEET_TRACES is `jaeger`"):
        TraceSettings(told_to="jaeger")
    least = {
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "CEDARFLEET_WORK_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/1/work",
    }
    assert Settings.read(least).traces.told_to is None
    assert Settings.read(least | {"CEDARFLEET_TRACES": "opentelemetry"}).traces.told_to
    with UNTRACED.span("nothing", SpanKind.SERVER) as span:
        span.note("a", 1)
