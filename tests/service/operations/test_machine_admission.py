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
        self.given_up: list[str] = []
        self.may_write, self.wrote = asyncio.Event(), asyncio.Event()

    async def admitted(self, tenant: Tenant, client_id: str) -> str | None:
        """As ever."""
        self.asked += 1
        return await super().admitted(tenant, client_id)

    async def used(self, tenant: Tenant, machine_id: str, *, at_ms: int) -> None:
        """Wait, then note it."""
        del tenant, at_ms
        try:
            await self.may_write.wait()
        except asyncio.CancelledError:
            for _ in range(9):  # as a call that gives its connection back
                await asyncio.sleep(0)
            self.given_up.append(machine_id)
            raise
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


def test_what_is_known_ends_and_what_is_unknown_sooner() -> None:
    """A machine is asked for again after five minutes, another client after two seconds."""

    async def scenario() -> None:
        records = Counted()
        await records.admit(ACME, "line", "m1")
        past = [0.0]
        admission = MachineAdmission(records, now, lambda: past[0])
        asked: dict[str, list[float]] = {"line": [], "other": []}
        for past[0] in (0, 1.9, 2, 299.9, 300):
            for client, moments in asked.items():
                before = records.asked
                assert await admission.admits(ACME, client) == (client == "line")
                moments.extend([past[0]] * (records.asked - before))
        assert asked == {"line": [0, 300], "other": [0, 2, 299.9]}

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
        await asyncio.gather(*admission._tasks)
        assert admission._tasks == set(), "nothing of it is kept"
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
        await admission.close()
        assert (records.written, records.given_up) == ([], ["m1"])
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
