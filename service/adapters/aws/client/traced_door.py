"""The door with a span around each call of AWS, for services that are traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.failures import AwsCallError, AwsRefusalError
from service.ports.traces import SpanKind

if TYPE_CHECKING:
    from service.adapters.aws.client.door import Calls
    from service.ports.traces import Traces


class TracedDoor(AwsDoor):
    """Names service and operation of each call, and how it ended; nothing that was asked or said.

    Source of the names: OpenTelemetry, "Semantic conventions for AWS SDK client spans".

    Args:
        traces: where spans are made.
        settings: and all others, of the door.
    """

    def __init__(self, *settings: Any, traces: Traces, **others: Any) -> None:
        super().__init__(*settings, **others)
        self._traces = traces

    async def call(self, asked: Calls, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """As the door's, in a span."""
        with self._traces.span(f"{asked.service}.{name}", SpanKind.CLIENT) as span:
            span.note("rpc.system", "aws-api")
            span.note("rpc.service", asked.service)
            span.note("rpc.method", name)
            span.note("cedarfleet.as", "service" if asked.who is None else "tenant")
            try:
                return await super().call(asked, name, parameters)
            except AwsRefusalError as error:
                span.fail(error.code)
                raise
            except AwsCallError as error:
                span.fail(type(error).__name__)
                raise
