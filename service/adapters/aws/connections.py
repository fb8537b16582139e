"""How a device is connected, from the IoT data plane: the broker's own word, in no index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from service.adapters.aws.client.calls import error_code
from service.domain.devices import Connectivity

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.devices import Device
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class IotConnections:
    """Answers ``ports.Connections`` with GetConnection; a client id is its thing's name."""

    calls: AwsCalls
    sessions: AwsSessions

    async def find(self, tenant: Tenant, device: Device) -> Connectivity | None:
        return await self.calls.run("the device broker", self._find, tenant, device)

    def _find(self, tenant: Tenant, device: Device) -> Connectivity | None:
        try:
            told = self.sessions.tenant(tenant, "iot-data").get_connection(clientId=device.thing)
        except ClientError as error:
            # The broker knows no such client, or has forgotten it.
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        connected = bool(told["connected"])
        return Connectivity(
            connected=connected,
            since_ms=told.get("connectedSince" if connected else "disconnectedSince"),
            disconnect_reason=None if connected else told.get("disconnectReason"),
        )
