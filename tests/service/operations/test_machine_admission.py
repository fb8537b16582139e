"""Tokens of machines made at run time: who is admitted, and when a machine was last seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.adapters.memory.machines import MemoryMachines
from service.adapters.memory.user_pool import MemoryUserPool
from service.operations.machine_admission import MachineAdmission

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

ACME = MemoryUserPool("acme").tenant


class Counted(MemoryMachines):
    """Machines that count what they are asked, and write a use when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.written: list[str] = []
        self.may_write, self.wrote = asyncio.Event(), asyncio.Event()

    async def admitted(self, tenant: Tenant, client_id: str) -> str | None:
        """As ever."""
        self.asked += 1
        return await super().admitted(tenant, client_id)

    async def used(self, tenant: Tenant, machine_id: str, *, at_ms: int) -> None:
        """Wait, then note it."""
        del tenant, at_ms
        await self.may_write.wait()
        self.written.append(machine_id)
        self.wrote.set()


def now() -> datetime:
    """One moment."""
    return datetime(2026, 11, 30, tzinfo=UTC)


def test_who_is_known_is_not_asked_for_again() -> None:
    """Nor is, for a moment, a client that is none of ours."""

    async def scenario() -> None:
        records = Counted()
        await records.admit(ACME, "line", "m1")
        admission = MachineAdmission(records, now)
        for client, admitted in (("line", True), ("other", False)):
            assert [await admission.admits(ACME, client) for _ in range(3)] == [admitted] * 3
        assert records.asked == 2

    asyncio.run(scenario())


def test_a_machine_is_seen_once_in_some_minutes() -> None:
    """In the background; a client that nobody admitted is no machine to be seen."""

    async def scenario() -> None:
        records = Counted()
        await records.admit(ACME, "line", "m1")
        admission = MachineAdmission(records, now)
        admission.seen(ACME, "line")
        await admission.admits(ACME, "line")
        await admission.admits(ACME, "other")
        for client in ("line", "line", "other"):
            admission.seen(ACME, client)
        records.may_write.set()
        await asyncio.wait_for(records.wrote.wait(), 10)
        await admission.close()
        assert records.written == ["m1"]

    asyncio.run(scenario())


def test_closing_ends_what_is_being_written() -> None:
    """Nothing is left behind, though the table never answers."""

    async def scenario() -> None:
        records = Counted()
        await records.admit(ACME, "line", "m1")
        admission = MachineAdmission(records, now)
        await admission.admits(ACME, "line")
        admission.seen(ACME, "line")
        await asyncio.sleep(0)
        await asyncio.wait_for(admission.close(), 10)
        assert len(asyncio.all_tasks()) == 1
        assert records.written == []

    asyncio.run(scenario())
