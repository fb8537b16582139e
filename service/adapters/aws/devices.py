"""Devices in AWS IoT Core: the registry for what is, the fleet index for lists and connectivity."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.client.calls import error_code
from service.adapters.aws.cursors import seal, unsealed
from service.cedar.device_facts import DEVICE_FACTS
from service.cedar.entities import ROOT_GROUP
from service.domain.devices import Connectivity, Device, DevicePage
from service.domain.groups import group_id_of
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_REGISTRY: Final = "the device registry"
_OFFSET: Final = "utc_offset"
_INDEX: Final = "the fleet index"
_STORABLE: Final = re.compile(r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}")  # AWS IoT API: AttributeValue
# The index compares names without case: as many that differ in nothing else are looked through.
_SAME_NAMES: Final = 100
_PAGES: Final = {"PageSize": 250}  # the most that IoT Core gives at once


@dataclass(frozen=True, kw_only=True)
class IotDeviceRegistry:
    """Answers ``ports.DeviceRegistry`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        thing = wire.thing_name(tenant.id, device_id)
        described, groups = await asyncio.gather(
            self.calls.run(_REGISTRY, self._describe, tenant, thing),
            self.calls.run(_REGISTRY, self._groups_of, tenant, thing),
        )
        if described is None or groups is None:
            return None
        return Device(
            tenant=tenant.id,
            id=device_id,
            groups=_groups(tenant, groups),
            attributes=_attributes(described.get("attributes", {})),
            version=described["version"],
        )

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        await self.calls.run(_REGISTRY, self._set_attributes, tenant, device, changes)

    def _describe(self, tenant: Tenant, thing: str) -> dict[str, Any] | None:
        client = self.sessions.tenant(tenant, "iot")
        try:
            return client.describe_thing(thingName=thing)
        except client.exceptions.ResourceNotFoundException:
            return None

    def _groups_of(self, tenant: Tenant, thing: str) -> list[str] | None:
        client = self.sessions.tenant(tenant, "iot")
        try:
            pages = client.get_paginator("list_thing_groups_for_thing").paginate(thingName=thing)
            return [group["groupName"] for page in pages for group in page["thingGroups"]]
        except client.exceptions.ResourceNotFoundException:
            return None

    def _set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        # An empty text removes an attribute when merging (docs: IoT API AttributePayload).
        stored = {
            name: "" if text is None else _stored(name, text) for name, text in changes.items()
        }
        payload = {"attributes": stored, "merge": True}
        try:
            self.sessions.tenant(tenant, "iot").update_thing(
                thingName=device.thing, attributePayload=payload, expectedVersion=device.version
            )
        except ClientError as error:
            if error_code(error) == "VersionConflictException":
                raise ConflictError(
                    f"device `{device.id}` was changed meanwhile; read it and try again"
                ) from error
            raise


@dataclass(frozen=True, kw_only=True)
class IotFleetIndex:
    """Answers ``ports.FleetIndex`` with the tenant's own session.

    The index holds the things of every tenant and IAM cannot part them: queries are built here from
    validated names only, and whatever does not carry the tenant's prefix is dropped.
    """

    calls: AwsCalls
    sessions: AwsSessions

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        return await self.calls.run(_INDEX, self._page, tenant, limit, cursor)

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:

        return await self.calls.run(_INDEX, self._connectivity, tenant, device)

    def _page(self, tenant: Tenant, limit: int, cursor: str | None) -> DevicePage:
        scope = f"devices:{tenant.id}"
        query = f"thingGroupNames:{tenant.thing_group} AND thingName:{tenant.id}--*"
        with unsealed(scope, cursor) as page:
            answer = self.sessions.tenant(tenant, "iot").search_index(
                queryString=query, maxResults=limit, **page
            )
        found = (_indexed(tenant, document) for document in answer.get("things", []))
        return DevicePage(
            devices=tuple(device for device in found if device),
            cursor=seal(scope, answer.get("nextToken")),
        )

    def _connectivity(self, tenant: Tenant, device: Device) -> Device:
        answer = self.sessions.tenant(tenant, "iot").search_index(
            queryString=f"thingName:{device.thing}", maxResults=_SAME_NAMES
        )
        for document in answer.get("things", []):
            if document["thingName"] == device.thing:
                return replace(device, connectivity=_seen(document))
        return device


def _indexed(tenant: Tenant, document: Mapping[str, Any]) -> Device | None:
    try:
        owner, device_id = wire.split_thing_name(document["thingName"])
    except wire.WireError:
        return None
    # Fail closed: the index is shared by all tenants.
    if owner != tenant.id:
        return None
    return Device(
        tenant=tenant.id,
        id=device_id,
        groups=_groups(tenant, document.get("thingGroupNames", [])),
        attributes=_attributes(document.get("attributes", {})),
        connectivity=_seen(document),
    )


def _groups(tenant: Tenant, names: Iterable[str]) -> tuple[str, ...]:
    own = {group_id_of(tenant.id, name) for name in names} - {None, ROOT_GROUP}
    return tuple(sorted(group for group in own if group))


def _attributes(stored: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _read(name, text) for name, text in sorted(stored.items()) if name in DEVICE_FACTS
    }


def _stored(name: str, text: str) -> str:
    """The attribute as IoT Core can store it: `+02:00` without its `+`, which AWS refuses."""
    written = text.removeprefix("+") if name == _OFFSET else text
    if _STORABLE.fullmatch(written) is None:
        raise InvalidRequestError(name, "cannot be stored: use A-Z, a-z, 0-9 and `_.,@/:#=[]-`")
    return written


def _read(name: str, stored: str) -> str:
    """The other way round."""
    return f"+{stored}" if name == _OFFSET and stored[:1].isdigit() else stored


def _seen(document: Mapping[str, Any]) -> Connectivity | None:
    state = document.get("connectivity")
    if not state:
        return None
    return Connectivity(
        connected=bool(state.get("connected")),
        since_ms=state.get("timestamp"),
        disconnect_reason=state.get("disconnectReason"),
    )
