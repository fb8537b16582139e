"""Twins of the commands table and of the broker that commands are published to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from service.adapters.memory.idempotency import MemoryOnce
from service.adapters.memory.newest_first import newest_first
from service.domain.commands import (
    MAX_STATES,
    CommandPage,
    CommandRecord,
    CommandRecordState,
    DirectAnswer,
    RecordedCommand,
    ReportedState,
)
from service.errors import UnavailableError, UpstreamError

if TYPE_CHECKING:
    from service.domain.commands import CommandFilter
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant

_TABLE: Final = "the commands table"


@dataclass(kw_only=True)
class MemoryCommandRecords:
    """Commands; ``states`` is what the IoT rule would have written, by command id."""

    once: MemoryOnce[CommandRecord] = field(default_factory=MemoryOnce[CommandRecord])
    states: dict[str, list[ReportedState]] = field(default_factory=dict[str, list[ReportedState]])

    async def create(
        self,
        tenant: Tenant,
        record: CommandRecord,
        key: IdempotencyKey | None,
    ) -> CommandRecord:
        # As the table's transaction, which puts no row in the place of another.
        if key is None and (tenant.id, record.command_id) in self.once.records:
            raise UpstreamError(f"{_TABLE} refused the call")
        return self.once.create(tenant.id, record.command_id, record, key)

    async def claim(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> bool:
        if not self.once.can_settle:
            raise UnavailableError(_TABLE)
        if self.once.records[tenant.id, record.command_id] != record:
            return False
        claimed = replace(record, state=CommandRecordState.PUBLISHING, claimed_at=now_ms)
        self.once.settle(tenant.id, record.command_id, claimed)
        return True

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        known = self.once.records[tenant.id, record.command_id]
        if not known.may_become(record):
            raise UpstreamError(f"{_TABLE} refused the call")
        kept = replace(record, canceled_at=known.canceled_at)
        self.once.settle(tenant.id, record.command_id, kept)

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> CommandRecord:
        known = self.once.records[tenant.id, record.command_id]
        if known.canceled_at is None:
            known = replace(known, canceled_at=now_ms)
            self.once.settle(tenant.id, record.command_id, known)
        return known

    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        record = self.once.records.get((tenant.id, command_id))
        if record is None:
            return None
        states = sorted(self.states.get(command_id, ()), key=lambda state: state.sequence)
        return RecordedCommand(
            record=record,
            states=tuple(states[-MAX_STATES:]),
            earlier_left_out=len(states) > MAX_STATES,
        )

    async def unanswered(
        self, tenant: Tenant, device_id: str, *, since_ms: int
    ) -> list[CommandRecord]:
        return sorted(
            (
                record
                for (owner, command_id), record in self.once.records.items()
                if (owner, record.device) == (tenant.id, device_id)
                and record.created_at >= since_ms
                and not self.states.get(command_id)
            ),
            key=lambda record: record.command_id,
        )


@dataclass(kw_only=True)
class MemoryListedCommands:
    """The same commands as a list."""

    records: MemoryCommandRecords

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CommandFilter
    ) -> CommandPage:
        known = {
            command_id: record
            for (owner, command_id), record in self.records.once.records.items()
            if owner == tenant.id
            and (wanted.since is None or record.created_at >= wanted.since)
            and (wanted.before is None or record.created_at < wanted.before)
        }

        def shows(command_id: str) -> bool:
            record = known[command_id]
            return wanted.shows(record.device, record.name, record.created_by)

        ids, behind = newest_first(known, shows, limit=limit, cursor=cursor)
        found = [await self.records.read(tenant, command_id) for command_id in ids]
        return CommandPage(commands=tuple(filter(None, found)), cursor=behind)


@dataclass(kw_only=True)
class MemoryCommandBroker:
    """What was sent and published; ``available = False`` makes both fail.

    Attributes:
        answer: what becomes of what is sent directly; ``None``: nobody knows.
        failure: how publishing fails where it is not available; ``None``: its answer is lost.
    """

    sent: list[CommandRecord] = field(default_factory=list[CommandRecord])
    published: list[CommandRecord] = field(default_factory=list[CommandRecord])
    canceled: list[CommandRecord] = field(default_factory=list[CommandRecord])
    answer: DirectAnswer | None = DirectAnswer.NOT_CONNECTED
    available: bool = True
    failure: UpstreamError | None = None

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        if not self.available or self.answer is None:
            raise self.failure or UnavailableError("the device")
        self.sent.append(record)
        return self.answer

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        if not self.available:
            raise self.failure or UnavailableError("the device broker")
        self.canceled.append(record)

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        if not self.available:
            raise self.failure or UnavailableError("the device broker")
        self.published.append(record)
