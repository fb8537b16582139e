"""Groups of devices: thing groups in the registry of AWS IoT Core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.client.calls import error_code
from service.domain.groups import DeviceGroup
from service.errors import ConflictError

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_REGISTRY: Final = "the device registry"
_PAGES: Final = {"PageSize": 250}  # the most that IoT Core gives at once


@dataclass(frozen=True, kw_only=True)
class IotDeviceGroups:
    """Answers ``ports.DeviceGroups`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions

    async def find(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        return await self.calls.run(_REGISTRY, self._group, tenant, group_id)

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        return await self.calls.run(_REGISTRY, self._members, tenant, group, limit)

    def _group(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        group = DeviceGroup(tenant=tenant.id, id=group_id)
        try:
            self.sessions.tenant(tenant, "iot").describe_thing_group(
                thingGroupName=group.thing_group
            )
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        return group

    def _members(self, tenant: Tenant, group: DeviceGroup, limit: int) -> tuple[str, ...]:
        """From the registry: the fleet index may lag behind, and a decision must not."""
        pages = self.sessions.tenant(tenant, "iot").get_paginator("list_things_in_thing_group")
        found: list[str] = []
        for page in pages.paginate(
            thingGroupName=group.thing_group, recursive=True, PaginationConfig=_PAGES
        ):
            for thing in page["things"]:
                owner, _, device_id = thing.partition("--")
                # Fail closed: never decide on, or deliver to, another tenant's device.
                if owner != tenant.id:
                    raise ConflictError(
                        f"group `{group.id}` holds a thing that is not the tenant's"
                    )
                if wire.is_device_id(device_id):
                    found.append(device_id)
                else:
                    # A claim may make such a thing; it must not keep devices from what is theirs.
                    log.warning("fleet.no_device", thing=thing, group=group.id)
            if len(found) > limit:
                break
        return tuple(found[: limit + 1])
