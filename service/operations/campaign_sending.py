"""The worker's part of a campaign: it sends batch after batch, and asks what became of each.

A message names a campaign and a step; each step does one thing, sends the message of the next, and
only then writes down that it is done: whoever dies in it has it done again, and a message of an
earlier step is left alone. Ids of commands are written down before the first of them is sent, so
again is the same command, which a device runs once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from service.at_once import each
from service.domain.budgets import Bucket
from service.domain.campaigns import (
    BATCH_DEVICES,
    DECIDED_MS,
    OVER,
    CampaignClosing,
    Part,
)
from service.domain.commands import CLAIM_MS, CommandRecordState, status_of
from service.domain.instants import milliseconds, new_ulid
from service.domain.rates import DEFAULT, Budget, Rate
from service.errors import (
    CommandNotPublishedError,
    CommandUnconfirmedError,
    DeviceNotConnectedError,
    UnavailableError,
    UpstreamError,
)
from service.operations.campaign_decisions import CampaignStoppedError
from service.operations.campaigns import advance_campaign
from service.operations.command_cancel import take_back
from service.operations.devices import find_device_or_none
from service.operations.rollout_events import events_of_campaign

if TYPE_CHECKING:
    from service.domain.campaigns import Batch, BatchDevice, CampaignRecord
    from service.domain.commands import CommandRecord, RecordedCommand
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.operations.budgets import Pace
    from service.operations.campaign_decisions import CampaignDecisions
    from service.operations.commands import Commands
    from service.operations.event_telling import EventTelling
    from service.ports.campaigns import CampaignBatches, CampaignRecords
    from service.ports.commands import CommandBroker, CommandRecords
    from service.ports.devices import DeviceFacts
    from service.ports.work import WorkQueue

CAMPAIGN_COMMANDS: Final = Bucket(
    name="campaign-commands", rate=Rate(per_second=25, burst=BATCH_DEVICES)
)
"""Of all tenants' campaigns: half of the account's direct messages (`commands.DIRECT_MESSAGES`), so
that a person's own command finds the other half free."""
_FIRST_LOOK: Final = 5  # seconds; each round waits twice as long as the one before
_LONGEST_PAUSE: Final = 900  # seconds (source: SQS API reference, SendMessage, DelaySeconds)
_LOOKED_AT: Final = 10  # batches of one look
# Steps that a task does at once, of the 32 messages that it has in hand: they wait for their turn,
# and other work is not to wait with them.
_AT_ONCE: Final = 4
_BUSY: Final = 3  # seconds after which a step comes again for which there was no room
_GIVEN_UP_MS: Final = 2 * 60_000
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class CampaignSending:
    """Handles the messages about campaigns."""

    records: CampaignRecords
    batches: CampaignBatches
    decisions: CampaignDecisions
    telling: EventTelling
    devices: DeviceFacts
    sender: Commands
    commands: CommandRecords
    broker: CommandBroker
    pace: Pace
    queue: WorkQueue
    clock: Clock
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def advance(self, tenant: Tenant, work: Work) -> None:
        """Do one step of a campaign, and have the next one done.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        if self.room.locked():
            await self.queue.send([work], delay_seconds=_BUSY)
            return
        async with self.room:
            await self._advance(tenant, work)

    async def _advance(self, tenant: Tenant, work: Work) -> None:
        record = await self.records.read(tenant, work.about["campaign"])
        if record is None or int(work.about["step"]) < record.step:
            return
        if record.closing is CampaignClosing.ENDED:
            return
        done, pause = await self._step(tenant, record)
        if done is None:
            return
        done = replace(done, step=record.step + 1, looked_at=self._now())
        if done.begun_at is None:
            done = replace(done, begun_at=done.looked_at)
        done = await self._tell(tenant, done)
        following = advance_campaign(tenant, done)
        # Before it is written down: whoever dies between the two has this step done again.
        await self.queue.send([following], delay_seconds=pause)
        await self.records.settle(tenant, done)

    async def _tell(self, tenant: Tenant, record: CampaignRecord) -> CampaignRecord:
        """The record with all told that stands in it."""
        events, told = events_of_campaign(record, now_ms=self._now())
        await self.telling.tell(tenant, events)
        return replace(record, told=told)

    async def _step(
        self, tenant: Tenant, record: CampaignRecord
    ) -> tuple[CampaignRecord | None, int]:
        """What is due, done; the record as it is then, and how long the next step waits.

        ``None``: nothing will ever be due again.
        """
        if record.closing is None and record.sent < record.batches:
            return await self._send_next(tenant, record)
        if record.closing is not None and record.sent < record.begun:
            return await self._close_batch(tenant, record)
        if record.closing is CampaignClosing.CANCELED and record.taken < record.begun:
            await self._take_back(tenant, record, record.taken)
            return replace(record, taken=record.taken + 1), 0
        return await self._look(tenant, record)

    async def _send_next(
        self, tenant: Tenant, record: CampaignRecord
    ) -> tuple[CampaignRecord, int]:
        """Send the next batch, or what is left of one that somebody was cut off in."""
        if self._now() >= record.send_before:
            await self.records.close(tenant, record, CampaignClosing.EXPIRED, why=OVER)
            log.warning("campaign.expired", campaign=record.campaign_id)
            return record, 0
        try:
            is_sent = await self._send_batch(tenant, record, record.sent)
        except CampaignStoppedError as stopped:
            await self.records.close(tenant, record, CampaignClosing.STOPPED, why=str(stopped))
            log.warning("campaign.stopped", campaign=record.campaign_id, why=str(stopped))
            return record, 0
        return (replace(record, sent=record.sent + 1) if is_sent else record), 0

    async def _send_batch(self, tenant: Tenant, record: CampaignRecord, number: int) -> bool:
        """Whether each device of a batch is sent to or left out; ``False``: it was closed first.

        Raises:
            CampaignStoppedError: nothing more of the campaign may be sent.
            UpstreamError: not all of them; to be done again.
        """
        await self._turn(tenant)
        batch = await self._begun(tenant, record, number)
        if batch is None:
            return False
        if batch.sent_at is not None:
            return True
        is_first = batch.prepared_at is None
        if is_first:
            batch = await self.batches.prepare(tenant, record, self._with_ids(batch))
        if batch.decided_at is None or self._now() >= batch.decided_at + DECIDED_MS:
            batch = await self._decided(tenant, record, batch, is_first=is_first)
            # Deciding takes a while, in which it may have been canceled.
            if await self._begun(tenant, record, number) is None:
                return False
        began = self._now()
        sent = await each(
            partial(self._sent, tenant, record, began=began, is_first=is_first),
            [one for one in batch.devices if one.part is Part.ALLOWED and not one.state],
        )
        await self._store_sent(tenant, record, batch.with_devices(filter(None, sent)))
        log.info("campaign.batch_sent", campaign=record.campaign_id, batch=number)
        return True

    async def _store_sent(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> None:
        """Store a batch as sent, unless some of it is to be sent again.

        Raises:
            UnavailableError: some is.
        """
        now = self._now()
        allowed = [one for one in batch.devices if one.part is Part.ALLOWED]
        undone = [one for one in allowed if not one.state]
        # What fails for some of them for so long would keep the others waiting; what fails for all
        # is AWS's outage, and ends, at the latest with the time of their commands.
        is_outage = len(undone) == len(allowed)
        if undone and (is_outage or now < (batch.prepared_at or now) + _GIVEN_UP_MS):
            await self.batches.store(tenant, record, batch)
            raise UnavailableError("the way to the devices")
        given_up = [await self._given_up(tenant, one) for one in undone]
        batch = replace(batch.with_devices(given_up), sent_at=now)
        await self.batches.store(tenant, record, batch)

    async def _begun(self, tenant: Tenant, record: CampaignRecord, number: int) -> Batch | None:
        """The batch, begun for the first time or again; ``None``: the campaign is closed."""
        if not await self.records.begin_batch(tenant, record, number, at_ms=self._now()):
            return None
        batch = await self.batches.read(tenant, record, number)
        # Fail closed: without its row nobody knows whom it is for.
        if batch is None:
            raise CampaignStoppedError(f"its batch {number} is no more")
        return batch

    def _with_ids(self, batch: Batch) -> Batch:
        now = self._now()
        devices = tuple(replace(one, command_id=new_ulid(now)) for one in batch.devices)
        return replace(batch, devices=devices, prepared_at=now)

    async def _decided(
        self, tenant: Tenant, record: CampaignRecord, batch: Batch, *, is_first: bool
    ) -> Batch:
        """The batch with what the policies say now of each device whose command has not left."""
        pending = [one for one in batch.devices if one.part in {Part.WAITING, Part.ALLOWED}]
        known: dict[str, CommandRecord] = {}
        if not is_first:
            found = await each(
                partial(self.commands.read, tenant), [one.command_id for one in pending]
            )
            known = {one.record.device: one.record for one in found if one is not None}
            # What may have left was allowed when it did.
            pending = [
                one
                for one in pending
                if one.id not in known or known[one.id].state is CommandRecordState.CREATED
            ]
        decided = await self.decisions.decided(tenant, record, pending) if pending else ()
        for one in decided:
            if one.part is not Part.ALLOWED and one.id in known:
                # It was allowed, was recorded, and has not left: now it never does.
                await self.commands.cancel(tenant, known[one.id], now_ms=self._now())
        batch = replace(batch.with_devices(decided), decided_at=self._now())
        await self.batches.store(tenant, record, batch)
        return batch

    async def _sent(
        self,
        tenant: Tenant,
        record: CampaignRecord,
        device: BatchDevice,
        *,
        began: int,
        is_first: bool,
    ) -> BatchDevice | None:
        """The device with the state of its command; ``None``: it is to be sent again."""
        now = self._now()
        # Fail closed: by then somebody else may take it that this task was cut off.
        if now >= began + CLAIM_MS // 2:
            return None
        try:
            found = None if is_first else await self.commands.read(tenant, device.command_id)
            if found is not None and now >= found.record.expires_at:
                return await self._told(tenant, device, found)
            sent = await self.sender.send_decided(
                tenant, record.command(device, now_ms=now), found.record if found else None
            )
        except DeviceNotConnectedError:
            return replace(device, state=str(CommandRecordState.FAILED), is_final=True)
        except (CommandNotPublishedError, CommandUnconfirmedError):
            return await self._if_failed(tenant, device)
        except UpstreamError as error:
            log.warning("campaign.not_recorded", campaign=record.campaign_id, problem=str(error))
            return None
        # Of one that is claimed somebody else is at it.
        at_it = sent.state in {CommandRecordState.PUBLISHING, CommandRecordState.CREATED}
        return None if at_it else replace(device, state=str(sent.state))

    async def _if_failed(self, tenant: Tenant, device: BatchDevice) -> BatchDevice | None:
        """The device, if its command surely never leaves."""
        try:
            found = await self.commands.read(tenant, device.command_id)
        except UpstreamError:
            return None
        if found is None or found.record.state is not CommandRecordState.FAILED:
            return None
        return await self._told(tenant, device, found)

    async def _given_up(self, tenant: Tenant, device: BatchDevice) -> BatchDevice:
        """A device that could not be sent to in time: what has not left of it never does."""
        found = await self.commands.read(tenant, device.command_id)
        if found is None:
            reason = "it could not be sent"
            return replace(device, part=Part.SKIPPED, policies=(), reason=reason)
        record = await self.commands.cancel(tenant, found.record, now_ms=self._now())
        return await self._told(tenant, device, replace(found, record=record))

    async def _close_batch(
        self, tenant: Tenant, record: CampaignRecord
    ) -> tuple[CampaignRecord, int]:
        """Have whoever is at the last batch of a closed campaign end with it, or take their place.

        Nobody begins with it any more; who had begun it and was cut off has left some of it.
        """
        batch = await self.batches.read(tenant, record, record.sent)
        if batch is None or batch.sent_at is not None:
            return replace(record, sent=record.sent + 1), 0
        still = record.batch_at + CLAIM_MS - self._now()
        if still > 0:
            return record, -(-still // 1000)
        pending = [one for one in batch.devices if not one.is_left_out and not one.state]
        closed = await each(partial(self._closed, tenant, record), pending)
        batch = replace(batch.with_devices(closed), sent_at=self._now())
        await self.batches.store(tenant, record, batch)
        return replace(record, sent=record.sent + 1), 0

    async def _closed(
        self, tenant: Tenant, record: CampaignRecord, device: BatchDevice
    ) -> BatchDevice:
        """A device of a batch that nobody goes on with."""
        found = await self.commands.read(tenant, device.command_id) if device.command_id else None
        if found is None:
            return replace(device, part=Part.CANCELED, reason=record.why)
        if found.record.state is CommandRecordState.CREATED:
            held = await self.commands.cancel(tenant, found.record, now_ms=self._now())
            found = replace(found, record=held)
        return await self._told(tenant, device, found)

    async def _take_back(self, tenant: Tenant, record: CampaignRecord, number: int) -> None:
        """Cancel what has not begun on its device of one batch of a canceled campaign."""
        batch = await self.batches.read(tenant, record, number)
        if batch is None:
            return
        await self._turn(tenant)
        left = [one for one in batch.devices if not one.is_left_out and not one.is_final]
        taken = await each(partial(self._taken, tenant), left)
        await self.batches.store(tenant, record, batch.with_devices(taken))
        log.info("campaign.batch_taken_back", campaign=record.campaign_id, batch=number)

    async def _taken(self, tenant: Tenant, device: BatchDevice) -> BatchDevice:
        found = await self.commands.read(tenant, device.command_id)
        if found is None:
            return replace(device, part=Part.CANCELED)
        now = self._now()
        told = await self._told(tenant, device, found)
        if told.is_final or now > found.record.expires_at:
            return told
        taken = await take_back(self.commands, self.broker, tenant, found.record, now_ms=now)
        return await self._told(tenant, device, replace(found, record=taken))

    async def _look(
        self, tenant: Tenant, record: CampaignRecord
    ) -> tuple[CampaignRecord | None, int]:
        """Ask what became of the commands of some batches; behind the last of them a round is over.

        Returns:
            ``None`` once nobody waits for a device any more.
        """
        tallies = await self.batches.tallies(tenant, record)
        open_batches = [one.number for one in tallies if not one.is_over]
        due = [number for number in open_batches if number >= record.looked][:_LOOKED_AT]
        for number in due:
            batch = await self.batches.read(tenant, record, number)
            if batch is not None:
                await self._look_at(tenant, record, batch)
        if due and due[-1] != open_batches[-1]:
            return replace(record, looked=due[-1] + 1), 0
        tallies = await self.batches.tallies(tenant, record)
        if all(one.is_over for one in tallies):
            # First, since nobody looks again: told twice it has the same id.
            await self._tell(
                tenant, replace(record, closing=record.closing or CampaignClosing.ENDED)
            )
            await self.records.close(tenant, record, CampaignClosing.ENDED)
            log.info("campaign.ended", campaign=record.campaign_id)
            return None, 0
        pause = min(_FIRST_LOOK * 2 ** min(record.looks, 10), _LONGEST_PAUSE)
        return replace(record, looked=0, looks=record.looks + 1), pause

    async def _look_at(self, tenant: Tenant, record: CampaignRecord, batch: Batch) -> None:
        left = [one for one in batch.devices if not one.is_left_out and not one.is_final]
        found = await each(partial(self.commands.read, tenant), [one.command_id for one in left])
        told = await each(
            lambda both: self._told(tenant, *both), list(zip(left, found, strict=True))
        )
        if record.is_silent(batch, now_ms=self._now()):
            told = [replace(one, is_final=True) for one in told]
        await self.batches.store(tenant, record, batch.with_devices(told))

    async def _told(
        self, tenant: Tenant, device: BatchDevice, found: RecordedCommand | None
    ) -> BatchDevice:
        """The device with where its command stands."""
        if found is None:
            return device
        known = await find_device_or_none(self.devices, tenant, device.id)
        status = status_of(
            found.record,
            found.states,
            now_ms=self._now(),
            retired_at=None if known is None else known.retired_at,
        )
        return replace(device, state=str(status.state), is_final=status.is_final)

    async def _turn(self, tenant: Tenant) -> None:
        """Return when one more batch may be sent: of all tenants', and of this tenant's."""
        await self.pace.wait(CAMPAIGN_COMMANDS, BATCH_DEVICES)
        await self.pace.wait(commands_of(tenant), BATCH_DEVICES)

    def _now(self) -> int:
        return milliseconds(self.clock())


def commands_of(tenant: Tenant) -> Bucket:
    """What a tenant's campaigns may send: as fast as its people may, beside these."""
    rate = tenant.budgets.get(Budget.COMMANDS, DEFAULT[Budget.COMMANDS])
    return Bucket(
        name=CAMPAIGN_COMMANDS.name,
        rate=Rate(per_second=rate.per_second, burst=BATCH_DEVICES),
        tenant=tenant,
    )
