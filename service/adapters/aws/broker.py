"""The way of a command to its device: a direct message, or published over MQTT."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.client.calls import error_code
from service.domain.commands import DirectAnswer

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.commands import CommandRecord
    from service.domain.tenants import Tenant
    from service.settings import DirectMessageSettings

# "The total API response time may be higher than this value due to internal processing. Set your
# HTTP client timeout to a value greater" (source: AWS IoT API reference, SendDirectMessage).
PROCESSING_SECONDS: Final = 2.0
# Source: AWS IoT Core developer guide, "Direct Messaging", API response status codes.
_ANSWERS: Final = {
    "ResourceNotFoundException": DirectAnswer.NOT_CONNECTED,
    "GatewayTimeoutException": DirectAnswer.NOT_CONFIRMED,
}


@dataclass(frozen=True, kw_only=True)
class IotCommandBroker:
    """Answers ``ports.CommandBroker``: through the IoT data plane, at QoS 1.

    Attributes:
        calls: for what is published.
        direct_calls: for direct messages alone, of which each waits for its device.
    """

    calls: AwsCalls
    direct_calls: AwsCalls
    sessions: AwsSessions
    settings: DirectMessageSettings

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        return await self.direct_calls.run("the device", self._send_direct, tenant, record, now_ms)

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        await self.calls.run("the device broker", self._publish, tenant, record, now_ms)

    def _send_direct(self, tenant: Tenant, record: CommandRecord, now_ms: int) -> DirectAnswer:
        most = self.settings.confirm_seconds
        client = self.sessions.tenant(
            tenant, "iot-data", patience_seconds=most + PROCESSING_SECONDS
        )
        try:
            client.send_direct_message(
                clientId=record.thing,
                confirmation=True,
                timeout=min(most, _seconds_left(record, now_ms)),
                **_message(record),
            )
        except ClientError as error:
            if (known := _ANSWERS.get(error_code(error))) is not None:
                return known
            raise
        return DirectAnswer.RECEIVED

    def _publish(self, tenant: Tenant, record: CommandRecord, now_ms: int) -> None:
        self.sessions.tenant(tenant, "iot-data").publish(
            qos=1, messageExpiry=_seconds_left(record, now_ms), **_message(record)
        )


def _seconds_left(record: CommandRecord, now_ms: int) -> int:
    return max(1, math.ceil((record.expires_at - now_ms) / 1000))


def _message(record: CommandRecord) -> dict[str, Any]:
    """What is told either way."""
    return {
        "topic": wire.command_topic(record.thing, record.command_id),
        "payload": record.message().encode(),
        "contentType": "application/json",
        "payloadFormatIndicator": "UTF8_DATA",
        "correlationData": base64.b64encode(record.command_id.encode()).decode(),
        "responseTopic": wire.status_topic(record.thing, record.command_id),
        "userProperties": [{"wire": str(wire.WIRE_VERSION)}],
    }
