"""The way of a command to its device: published over MQTT through the IoT data plane."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cedarfleet_device import wire

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.commands import CommandRecord
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class IotCommandBroker:
    """Answers ``ports.CommandChannel``: MQTT publish at QoS 1 through the IoT data plane."""

    calls: AwsCalls
    sessions: AwsSessions

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        await self.calls.run("the device broker", self._publish, tenant, record, now_ms)

    def _publish(self, tenant: Tenant, record: CommandRecord, now_ms: int) -> None:
        self.sessions.tenant(tenant, "iot-data").publish(
            topic=wire.command_topic(record.thing, record.command_id),
            qos=1,
            payload=record.message().encode(),
            messageExpiry=max(1, math.ceil((record.expires_at - now_ms) / 1000)),
            contentType="application/json",
            payloadFormatIndicator="UTF8_DATA",
            correlationData=base64.b64encode(record.command_id.encode()).decode(),
            responseTopic=wire.status_topic(record.thing, record.command_id),
            userProperties=[{"wire": str(wire.WIRE_VERSION)}],
        )
