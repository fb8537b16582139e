"""The state of devices in AWS IoT's Device Shadow: one named shadow a thing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.device_state import DeviceState
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class ShadowDeviceStates:
    """Answers ``ports.DeviceStates`` with the tenant's own session."""

    aws: AwsDoor

    @asks("the device's shadow")
    async def read(self, tenant: Tenant, device_id: str) -> DeviceState:
        try:
            answer = await self.aws.tenant(tenant, "iot-data").call(
                "GetThingShadow", **_shadow(tenant, device_id)
            )
        except AwsRefusalError as error:
            # Nothing was ever asked or told.
            if error.code == "ResourceNotFoundException":
                return DeviceState(version=0)
            raise
        document: Any = json.loads(answer["payload"])
        state = document["state"]
        return DeviceState.of(
            int(document["version"]),
            desired=_section(state, "desired"),
            reported=_section(state, "reported"),
        )

    @asks("the device's shadow")
    async def change(
        self,
        tenant: Tenant,
        device_id: str,
        desired: Mapping[str, wire.DesiredState | None],
        *,
        version: int,
    ) -> None:
        members = {key: one and one.members() for key, one in desired.items()}
        document: dict[str, Any] = {"state": {"desired": members}}
        # A shadow that does not exist has no version that could be compared.
        if version:
            document["version"] = version
        try:
            await self.aws.tenant(tenant, "iot-data").call(
                "UpdateThingShadow",
                payload=json.dumps(document).encode(),
                **_shadow(tenant, device_id),
            )
        except AwsRefusalError as error:
            if error.code == "ConflictException":
                raise ConflictError(
                    f"the state of `{device_id}` was changed meanwhile; read it and try again"
                ) from error
            too_large = error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if too_large or error.code == "RequestEntityTooLargeException":
                raise InvalidRequestError(
                    "desired", "all keys of a device together may take 8 KB (AWS IoT)"
                ) from error
            raise


def _shadow(tenant: Tenant, device_id: str) -> dict[str, str]:
    return {"thingName": wire.thing_name(tenant.id, device_id), "shadowName": wire.STATE_SHADOW}


def _section(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = state.get(name)
    return cast("dict[str, Any]", section) if isinstance(section, dict) else {}
