"""A broker's line and a table of commands that lose, refuse and cut off as a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from service.adapters.memory.commands import MemoryCommandRecords
from service.domain.commands import DirectAnswer
from service.errors import UnavailableError, UpstreamError

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant

LOST: Final = UnavailableError("it")
NOT_BEGUN: Final = UnavailableError("it", is_throttled=True, is_lost=False)
REFUSED: Final = UpstreamError("it refused the call")
UNREADABLE: Final = UpstreamError("it answered something else", is_lost=True)


@dataclass(eq=False)
class Sending:
    """One call of the broker, until the test says what becomes of it."""

    record: CommandRecord
    is_direct: bool
    began: int
    became: asyncio.Future[str]


@dataclass(kw_only=True)
class Line:
    """The broker and the device behind it.

    Attributes:
        under_way: calls that have no answer yet.
        arrived: how often the command reached the device.
        canceled: how often its cancel did.
    """

    under_way: list[Sending] = field(default_factory=list[Sending])
    arrived: int = 0
    canceled: int = 0
    sent: int = 0

    async def send_direct(
        self,
        tenant: Tenant,  # noqa: ARG002 - the port's
        record: CommandRecord,
        *,
        now_ms: int,
    ) -> DirectAnswer:
        """Hand it over."""
        became = await self._wait(record, now_ms, is_direct=True)
        return DirectAnswer(became)

    async def publish(
        self,
        tenant: Tenant,  # noqa: ARG002 - the port's
        record: CommandRecord,
        *,
        now_ms: int,
    ) -> None:
        """Publish it."""
        await self._wait(record, now_ms, is_direct=False)

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:  # noqa: ARG002 - the port's
        """Take it back: that arrives at once."""
        assert record.canceled_at is not None
        self.canceled += 1

    async def _wait(self, record: CommandRecord, now_ms: int, *, is_direct: bool) -> str:
        became = asyncio.get_running_loop().create_future()
        sending = Sending(record, is_direct, now_ms, became)
        self.under_way.append(sending)
        self.sent += 1
        try:
            return await became
        finally:
            self.under_way.remove(sending)

    def answer(self, outcome: str) -> None:
        """What becomes of the call that waits longest."""
        waiting = [one for one in self.under_way if not one.became.done()]
        if not waiting:
            return
        first = waiting[0]
        if outcome.startswith("arrives") or (first.is_direct and outcome == "device is silent"):
            self.arrived += 1
        match outcome:
            case "arrives":
                first.became.set_result(DirectAnswer.RECEIVED)
            case "device is away" if first.is_direct:
                first.became.set_result(DirectAnswer.NOT_CONNECTED)
            case "device is silent" if first.is_direct:
                first.became.set_result(DirectAnswer.NOT_CONFIRMED)
            case "throttled":
                first.became.set_exception(NOT_BEGUN)
            case "arrives, answer unreadable":
                first.became.set_exception(UNREADABLE)
            case "refused":
                first.became.set_exception(REFUSED)
            case _:
                first.became.set_exception(LOST)


@dataclass(kw_only=True)
class Table(MemoryCommandRecords):
    """Records, of which the next call fails as the test says.

    A call takes a turn of the loop, as one over a line does: others come in between.
    """

    fails: str = ""

    async def create(
        self, tenant: Tenant, record: CommandRecord, key: IdempotencyKey | None
    ) -> CommandRecord:
        """Store it."""
        how, self.fails = self.fails, ""
        await asyncio.sleep(0)
        if how == "nothing is stored":
            raise LOST
        made = await super().create(tenant, record, key)
        if how == "answer lost":
            raise LOST
        return made

    async def claim(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> bool:
        """Claim it."""
        how, self.fails = self.fails, ""
        await asyncio.sleep(0)
        if how == "nothing is stored":
            raise LOST
        is_claimed = await super().claim(tenant, record, now_ms=now_ms)
        if how == "answer lost":
            raise LOST
        return is_claimed

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        """Settle it."""
        how, self.fails = self.fails, ""
        await asyncio.sleep(0)
        if how == "nothing is stored":
            raise LOST
        await super().settle(tenant, record)
        if how == "answer lost":
            raise LOST
