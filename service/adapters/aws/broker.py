"""The way of a command to its device: a direct message, or published over MQTT."""

from __future__ import annotations

import asyncio
import base64
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.commands import DirectAnswer
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
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
        aws: the door.
        settings: how long a direct message waits for its device, and how many wait at once.
    """

    aws: AwsDoor
    settings: DirectMessageSettings

    @asks("the device")
    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        # Fail closed: each waits for its device, so one more is published instead.
        if self._places.locked():
            raise UnavailableError("the device", is_lost=False)
        async with self._places:
            return await self._send_direct(tenant, record, now_ms)

    @cached_property
    def _places(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.settings.at_once)

    async def _send_direct(
        self, tenant: Tenant, record: CommandRecord, now_ms: int
    ) -> DirectAnswer:
        most = self.settings.confirm_seconds
        try:
            await self.aws.tenant(
                tenant, "iot-data", patience_seconds=most + PROCESSING_SECONDS
            ).call(
                "SendDirectMessage",
                clientId=record.thing,
                confirmation=True,
                timeout=min(most, _seconds_left(record, now_ms)),
                **_message(record, record.message().encode()),
            )
        except AwsRefusalError as error:
            if (known := _ANSWERS.get(error.code)) is not None:
                return known
            raise
        return DirectAnswer.RECEIVED

    @asks("the device broker")
    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        await self.aws.tenant(tenant, "iot-data").call(
            "Publish",
            qos=1,
            messageExpiry=_seconds_left(record, now_ms),
            **_message(record, record.cancel_message().encode()),
        )

    @asks("the device broker")
    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        await self.aws.tenant(tenant, "iot-data").call(
            "Publish",
            qos=1,
            messageExpiry=_seconds_left(record, now_ms),
            **_message(record, record.message().encode()),
        )


def _seconds_left(record: CommandRecord, now_ms: int) -> int:
    return max(1, math.ceil((record.expires_at - now_ms) / 1000))


def _message(record: CommandRecord, payload: bytes) -> dict[str, Any]:
    """What is told either way."""
    return {
        "topic": wire.command_topic(record.thing, record.command_id),
        "payload": payload,
        "contentType": "application/json",
        "payloadFormatIndicator": "UTF8_DATA",
        "correlationData": base64.b64encode(record.command_id.encode()).decode(),
        "responseTopic": wire.status_topic(record.thing, record.command_id),
        "userProperties": [{"wire": str(wire.WIRE_VERSION)}],
    }
