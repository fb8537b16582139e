"""Read campaigns of the caller's tenant, and what became of each device of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.at_once import each
from service.cedar.entities import tenant_entity
from service.domain.campaigns import (
    BatchDevice,
    CampaignRecord,
    CampaignState,
    CampaignView,
    Part,
    counted,
    state_of,
)
from service.domain.commands import status_of
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import InvalidRequestError, NotFoundError
from service.operations.command_lists import STATES
from service.operations.devices import find_device_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.campaigns import CampaignFilter
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.campaigns import CampaignBatches, CampaignRecords
    from service.ports.commands import CommandRecords
    from service.ports.devices import DeviceFacts

CAMPAIGN_STATES: Final = frozenset(map(str, CampaignState))
DEVICE_STATES: Final = STATES | frozenset(map(str, Part))


@dataclass(frozen=True, kw_only=True)
class CampaignDevice:
    """One device of a campaign, as it stands now.

    Attributes:
        state: of its command, or why there is none.
        is_final: whether no other state is expected.
        reason: why, in words, where that is known.
    """

    device: BatchDevice
    state: str
    is_final: bool
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class CampaignLists:
    """The campaigns of the caller's tenant, as the caller may see them."""

    devices: DeviceFacts
    commands: CommandRecords
    records: CampaignRecords
    batches: CampaignBatches
    clock: Clock

    async def read(self, access: Access, campaign_id: str) -> CampaignView:
        """A campaign and how far it came, when the worker last looked.

        Raises:
            NotFoundError: the tenant has no such campaign, or the caller is not to see it.
            PermissionDeniedError: a policy forbids to list devices.
        """
        return await self.view(access.principal.tenant, await self.seen(access, campaign_id))

    async def page(
        self,
        access: Access,
        *,
        wanted: CampaignFilter,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[CampaignView, ...], str | None]:
        """One page of campaigns, the newest first, and its cursor.

        Whoever may list all devices sees them all, anybody else their own. A page may have less
        than ``limit``, or none, and a cursor all the same.

        Raises:
            PermissionDeniedError: a policy forbids to list devices.
            InvalidRequestError: no campaign can be in that state, or the cursor is not one of ours.
        """
        _check_state(state, CAMPAIGN_STATES)
        tenant = access.principal.tenant
        if not await self._lists_all(access):
            own = access.principal.entity_id
            if wanted.created_by not in (None, own):
                return (), None
            wanted = replace(wanted, created_by=own)
        page = await self.records.page(tenant, limit=limit, cursor=cursor, wanted=wanted)
        views = await each(partial(self.view, tenant), page.records)
        return tuple(one for one in views if state in (None, one.state)), page.cursor

    async def devices_of(
        self,
        access: Access,
        campaign_id: str,
        *,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[CampaignDevice, ...], str | None]:
        """Devices of a campaign as they stand now, without those that the caller may not view.

        Raises:
            NotFoundError: as ``read``.
            PermissionDeniedError: as ``read``.
            InvalidRequestError: no device can be in that state, or the cursor is not one of ours.
        """
        _check_state(state, DEVICE_STATES)
        tenant = access.principal.tenant
        record = await self.seen(access, campaign_id)
        page = await self.batches.page(tenant, record, limit=limit, cursor=cursor)
        found = await each(
            partial(find_device_or_none, self.devices, tenant), [one.id for one in page.devices]
        )
        # Fail closed: of a device that is gone or cannot be read nobody knows who may see it.
        known = [one for one in found if one is not None and one.problem is None]
        viewed = await access.seen(Permission.VIEW_COMMAND, known)
        retired = {one.id: one.retired_at for one in viewed}
        shown = [one for one in page.devices if one.id in retired]
        as_they_are = partial(self._as_it_is, tenant, record, retired)
        devices = await each(as_they_are, shown)
        return tuple(one for one in devices if state in (None, one.state)), page.cursor

    async def _lists_all(self, access: Access) -> bool:
        """Whether the caller may list all devices, and so see all campaigns."""
        entities = (tenant_entity(access.principal.tenant.id),)
        listed = await access.permitted(Permission.LIST_DEVICES, entities)
        if not listed:
            # What is their own they may see, whatever the policies say: it was told to them.
            await access.shown(Permission.VIEW_COMMAND, [])
        return listed

    async def seen(self, access: Access, campaign_id: str) -> CampaignRecord:
        """A campaign that the caller may see; raises as ``read``."""
        record = await self.find(access.principal.tenant, campaign_id)
        own = record.created_by == access.principal.entity_id
        if not await self._lists_all(access) and not own:
            # Fail closed: as if there were none.
            raise NotFoundError("campaign", campaign_id)
        return record

    async def find(self, tenant: Tenant, campaign_id: str) -> CampaignRecord:
        """A campaign of the tenant.

        Raises:
            NotFoundError: it has none of this id.
        """
        known = wire.is_command_id(campaign_id)
        record = await self.records.read(tenant, campaign_id) if known else None
        if record is None:
            raise NotFoundError("campaign", campaign_id)
        return record

    async def view(self, tenant: Tenant, record: CampaignRecord) -> CampaignView:
        """A campaign with where it stands."""
        state, why = state_of(record, now_ms=milliseconds(self.clock()))
        tallies = await self.batches.tallies(tenant, record)
        return CampaignView(record=record, state=state, why=why, counts=counted(record, tallies))

    async def _as_it_is(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        retired: Mapping[str, int | None],
        device: BatchDevice,
    ) -> CampaignDevice:
        found = None
        if device.command_id and not device.is_left_out:
            found = await self.commands.read(tenant, device.command_id)
        if found is None:
            # What is closed sends to nobody who waits.
            never = record.closing is not None and not device.is_left_out
            return CampaignDevice(
                device=device,
                state="canceled" if never else device.word,
                is_final=never or device.is_left_out,
                reason=device.reason if device.is_left_out else record.why,
            )
        status = status_of(
            found.record,
            found.states,
            now_ms=milliseconds(self.clock()),
            retired_at=retired[device.id],
        )
        reason = status.detail.get("reason")
        return CampaignDevice(
            device=device,
            state=status.state,
            is_final=status.is_final,
            reason=reason if isinstance(reason, str) else None,
        )


def _check_state(state: str | None, states: frozenset[str]) -> None:
    """Refuse a state that there is not.

    Raises:
        InvalidRequestError: with those that there are.
    """
    if state is not None and state not in states:
        raise InvalidRequestError(
            "state", f"`{state[:64]}` is no state; there are: {', '.join(sorted(states))}"
        )
