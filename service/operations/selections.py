"""Finds the devices that a request selects: those of a group, of a filter, or by their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from service.at_once import each
from service.domain.groups import find_group
from service.errors import NotFoundError
from service.operations.devices import find_served
from service.operations.known_groups import knowing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.devices import Device
    from service.domain.selections import Selection
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.devices import Devices
    from service.ports.devices import DeviceFacts
    from service.ports.groups import GroupRecords

_LISTED: Final = 500  # devices of one page of a list that is read for a filter


@dataclass(frozen=True, kw_only=True)
class Selections:
    """The devices of the caller's tenant, as they are selected at this moment."""

    devices: DeviceFacts
    device_lists: Devices
    groups: GroupRecords

    async def find(
        self, access: Access, tenant: Tenant, selection: Selection, *, most: int
    ) -> Sequence[Device]:
        """The devices; more than ``most`` where there are too many, and then maybe not all.

        Raises:
            NotFoundError: the tenant has no such group, or no such device.
            InvalidRequestError: no device can fit the filter.
            PermissionDeniedError: a policy forbids the caller to list.
            ConflictError: a named device was retired.
        """
        if selection.group is not None:
            known = await knowing(self.groups, tenant, [selection.group])
            group = find_group(known, selection.group)
            if group is None:
                raise NotFoundError("group", selection.group)
            # One more than is taken, so that too many can be told.
            return await self.devices.members(known, group, limit=most)
        if selection.wanted is None:
            return await each(partial(find_served, self.devices, tenant), selection.devices)
        found: list[Device] = []
        cursor = None
        while True:
            # As the caller's own list shows them: a filter tells nothing of others.
            page = await self.device_lists.page(
                access, limit=_LISTED, cursor=cursor, wanted=selection.wanted
            )
            found += [one for one in page.devices if one.retired_at is None]
            cursor = page.cursor
            if cursor is None or len(found) > most:
                return found
