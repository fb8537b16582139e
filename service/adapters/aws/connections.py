"""How a device is connected, from the IoT data plane: the broker's own word, in no index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.devices import Connectivity

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.devices import Device
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class IotConnections:
    """Answers ``ports.Connections``; a client id is its thing's name."""

    aws: AwsDoor

    @asks("the device broker")
    async def find(self, tenant: Tenant, device: Device) -> Connectivity | None:
        try:
            told = await self.aws.tenant(tenant, "iot-data").call(
                "GetConnection", clientId=device.thing
            )
        except AwsRefusalError as error:
            # The broker knows no such client, or has forgotten it.
            if error.code == "ResourceNotFoundException":
                return None
            raise
        connected = bool(told["connected"])
        return Connectivity(
            connected=connected,
            since_ms=told.get("connectedSince" if connected else "disconnectedSince"),
            disconnect_reason=None if connected else told.get("disconnectReason"),
        )

    @asks("the device broker")
    async def end(self, tenant: Tenant, device: Device) -> None:
        try:
            await self.aws.tenant(tenant, "iot-data").call(
                "DeleteConnection",
                clientId=device.thing,
                cleanSession=True,
                preventWillMessage=True,
            )
        except AwsRefusalError as error:
            # Neither a connection nor a session (AWS IoT developer guide, "DeleteConnection").
            if error.code != "ResourceNotFoundException":
                raise
