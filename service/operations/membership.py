"""Puts devices into a group and takes them out of it, many of one request, a result a row.

Each device is decided on by itself, as it is and as it would be, so a request does what as many for
one device each would do. One that somebody else changes meanwhile is looked at and decided on anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.cedar.group_tree import MAX_ANCESTORS, too_many
from service.domain.audit import AuditChange
from service.domain.groups import find_group
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import (
    CallerError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UpstreamError,
)
from service.operations.devices import find_served
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose
from service.operations.wish_messages import tell_of_moved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.devices import DeviceFacts
    from service.ports.groups import GroupRecords
    from service.ports.work import WorkQueue

MAX_ROWS: Final = 200
AT_ONCE: Final = 8
"""Two decisions each; a store makes 200 a second (Verified Permissions quotas)."""
_TRIES: Final = 3


class RowStatus(StrEnum):
    """What came of a row; ``unchanged``: it was so already."""

    PUT_IN = "put-in"
    TAKEN_OUT = "taken-out"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class MemberResult:
    """What came of one row.

    Attributes:
        error: why it was refused.
    """

    device: str
    status: RowStatus
    error: CallerError | UpstreamError | None = None


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Which devices are in a group of the caller's tenant directly."""

    devices: DeviceFacts
    groups: GroupRecords
    queue: WorkQueue
    clock: Clock

    async def change(
        self, access: Access, group: str, *, put_in: Sequence[str], take_out: Sequence[str]
    ) -> tuple[MemberResult, ...]:
        """Put devices in and take devices out, in the order of the rows.

        Raises:
            InvalidRequestError: no rows, too many, a device stands twice, or the group is ``all``.
            NotFoundError: the tenant has no such group, or none of the devices.
            PermissionDeniedError: no row is allowed.
        """
        rows = [*((device, True) for device in put_in), *((device, False) for device in take_out)]
        names = [device for device, _ in rows]
        if not 1 <= len(rows) <= MAX_ROWS:
            raise InvalidRequestError(
                "put_in", f"give 1 to {MAX_ROWS} devices, with those of `take_out`"
            )
        if twice := {device for device in names if names.count(device) > 1}:
            raise InvalidRequestError("put_in", f"`{min(twice)[:64]}` stands twice")
        tenant = await knowing(self.groups, access.principal.tenant, [group])
        known = find_group(tenant, group)
        if known is None:
            raise NotFoundError("group", group)
        if known.is_root:
            raise InvalidRequestError("group", "every device is in it, and stays")
        results: list[MemberResult] = []
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            asked = (self._row(access, tenant, group, *row) for row in some)
            results += await asyncio.gather(*asked)
        moved = {RowStatus.PUT_IN, RowStatus.TAKEN_OUT}
        if devices := [one.device for one in results if one.status in moved]:
            await tell_of_moved(self.queue, tenant, devices)
        # Fail closed: who may change none of it is refused as for one device.
        if not access.granted and (error := _first(results)) is not None:
            raise error
        return tuple(results)

    async def _row(
        self, access: Access, tenant: Tenant, group: str, device_id: str, wanted: bool
    ) -> MemberResult:
        try:
            for last in (*[False] * (_TRIES - 1), True):
                try:
                    status = await self._changed(access, tenant, group, device_id, wanted)
                except ConflictError:
                    if last:
                        raise
                else:
                    return MemberResult(device=device_id, status=status)
        except (CallerError, UpstreamError) as error:
            return MemberResult(device=device_id, status=RowStatus.REFUSED, error=error)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _changed(
        self, access: Access, tenant: Tenant, group: str, device_id: str, wanted: bool
    ) -> RowStatus:
        device = await find_served(self.devices, tenant, device_id)
        others = [one for one in device.known_groups(tenant.groups) if one != group]
        moved = device.with_groups([*others, group] if wanted else others)
        if wanted:
            _check_count(moved, tenant)
        change = AuditChange(before=[*device.groups], after=[*moved.groups])
        purpose = Purpose(subject=", ".join(moved.groups), change=change)
        # Also if it is so already: who may not change it is not told where it is.
        for state in (device, moved):
            await access.require(
                Permission.SET_DEVICE_GROUPS, state.entities(tenant.groups), purpose
            )
        if (group in device.groups) is wanted:
            return RowStatus.UNCHANGED
        await self.devices.change(
            tenant, moved, by=access.principal.entity_id, now_ms=milliseconds(self.clock())
        )
        return RowStatus.PUT_IN if wanted else RowStatus.TAKEN_OUT


def _check_count(device: Device, tenant: Tenant) -> None:
    tree = {**device.made, **tenant.groups}
    if count := too_many(device.known_groups(tenant.groups), tree):
        raise InvalidRequestError(
            "put_in",
            f"`{device.id}` would lie in {count} groups; policies decide on at most"
            f" {MAX_ANCESTORS}",
        )


def _first(results: Sequence[MemberResult]) -> CallerError | UpstreamError | None:
    errors = [one.error for one in results if one.error is not None]
    denied = [error for error in errors if not isinstance(error, NotFoundError)]
    return next(iter((*denied, *errors)), None)
