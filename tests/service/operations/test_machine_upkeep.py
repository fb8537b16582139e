"""The worker ends secrets whose time is over, and what of a machine was begun and cut off."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.machines import MemoryMachineClients, MemoryMachines
from service.adapters.memory.memory_ports import MemoryClock
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.work import MemoryTimers
from service.domain.instants import milliseconds
from service.domain.machines import BEGUN_MS, Machine, MachineSecret, MachineState
from service.errors import UnavailableError
from service.operations.machine_upkeep import MachineUpkeep
from service.operations.machines import MachineEnd, settling
from service.operations.revocations import Revocations

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)
NOW = milliseconds(AT)
HOUR = 3600 * 1000


class Pool:
    """Twins with one machine of acme, and the worker's part of it."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant, self.clock = tenant, MemoryClock(now=AT)
        self.records, self.clients = MemoryMachines(), MemoryMachineClients()
        self.revoked, self.timers = MemoryRevocations(), MemoryTimers()
        revocations = Revocations(self.revoked, self.clock)
        end = MachineEnd(
            records=self.records, clients=self.clients, revocations=revocations, clock=self.clock
        )
        self.upkeep = MachineUpkeep(
            records=self.records,
            clients=self.clients,
            revocations=revocations,
            end=end,
            timers=self.timers,
            clock=self.clock,
        )

    async def machine(self, *ends: int | None, **changes: object) -> Machine:
        """A machine whose secrets end then, made an hour ago."""
        begun = Machine(
            tenant="acme",
            id="mes",
            scopes=("view",),
            created_by="somebody",
            created_at=NOW - HOUR,
            changed_at=NOW - HOUR,
        )
        client_id, first = await self.clients.make(self.tenant, begun)
        made = [first, *[await self.clients.add_secret(self.tenant, client_id) for _ in ends[1:]]]
        known = tuple(
            MachineSecret(id=one.id, created_by="somebody", created_at=NOW, expires_at=end)
            for one, end in zip(made, ends, strict=False)
        )
        machine = replace(begun, client_id=client_id, state=MachineState.ACTIVE, secrets=known)
        stored = await self.records.put(self.tenant, replace(machine, **changes))  # type: ignore[arg-type] - a test's own changes
        assert stored is not None
        return stored

    async def look(self) -> Machine:
        """The machine, after the worker looked at it."""
        await self.upkeep.handle(self.tenant, settling(self.tenant, "mes"))
        return self.records.rows["acme", "mes"]

    @property
    def held(self) -> set[str]:
        """The secrets that bring tokens."""
        return {one for held in self.clients.held.values() for one in held}

    @property
    def wakes(self) -> list[datetime]:
        """When the worker looks again."""
        return [at for at, _ in self.timers.set_for.values()]


@pytest.fixture
def pool(pools: tuple[MemoryUserPool, MemoryUserPool]) -> Pool:
    """Of acme."""
    return Pool(pools[0].tenant)


def test_a_secret_ends_at_its_time(pool: Pool) -> None:
    """Not before, at the end, and the other one goes on; tokens of before do too."""

    async def scenario() -> None:
        machine = await pool.machine(NOW + HOUR, None)
        assert await pool.look() == machine
        assert pool.wakes == [AT + timedelta(hours=1)]
        pool.clock.now = AT + timedelta(hours=1)
        left = await pool.look()
        assert left.secrets == machine.secrets[1:]
        assert pool.held == {machine.secrets[1].id}
        assert (pool.wakes, pool.revoked.rows) == ([], {})

    asyncio.run(scenario())


def test_a_machine_ends_with_its_last_secret(pool: Pool) -> None:
    """Cognito deletes no last secret: the client goes, and its tokens count no more."""

    async def scenario() -> None:
        machine = await pool.machine(NOW - 1)
        ended = await pool.look()
        assert (ended.state, ended.secrets, pool.held) == (MachineState.REVOKED, (), set())
        assert set(pool.revoked.rows["acme"]) == {machine.client_id}
        assert await pool.look() == ended

    asyncio.run(scenario())


@pytest.mark.parametrize("state", [MachineState.MAKING, MachineState.REVOKING])
def test_what_was_cut_off_comes_to_its_end(pool: Pool, state: MachineState) -> None:
    """Of a machine: left alone for a minute, then no client of its name is left."""

    async def scenario() -> None:
        begun = await pool.machine(None, state=state, changed_at=NOW - BEGUN_MS + 1)
        assert await pool.look() == begun
        assert pool.wakes == [AT + timedelta(milliseconds=BEGUN_MS)]
        pool.clock.now = AT + timedelta(seconds=1)
        assert (await pool.look()).state is MachineState.REVOKED
        assert (pool.clients.names, pool.wakes) == ({}, [])

    asyncio.run(scenario())


def test_a_secret_that_nobody_was_told_goes(pool: Pool) -> None:
    """The pool has it, the row does not: the attempt that made it was cut off."""

    async def scenario() -> None:
        machine = await pool.machine(None, adding_since=NOW - HOUR)
        await pool.clients.add_secret(pool.tenant, machine.client_id or "")
        left = await pool.look()
        assert (pool.held, left.adding_since) == ({machine.secrets[0].id}, None)
        assert left.secrets == machine.secrets

    asyncio.run(scenario())


def test_a_deletion_that_was_cut_off_is_done(pool: Pool) -> None:
    """With what its caller was to be told: tokens of before count no more."""

    async def scenario() -> None:
        machine = await pool.machine(None, None)
        first, second = machine.secrets
        ending = replace(machine, secrets=(replace(first, ending=True), second))
        await pool.records.put(pool.tenant, ending)
        left = await pool.look()
        assert (left.secrets, pool.held) == ((second,), {second.id})
        assert set(pool.revoked.rows["acme"]) == {machine.client_id}

    asyncio.run(scenario())


@pytest.mark.parametrize("dies_in", ["secrets", "delete_secret"])
def test_a_worker_that_dies_is_followed(pool: Pool, dies_in: str) -> None:
    """Whatever it did not come to, the next attempt does, once."""

    async def scenario() -> None:
        machine = await pool.machine(NOW - 1, None)
        (pool.clients.fails if dies_in == "secrets" else pool.clients.lost).add(dies_in)
        with pytest.raises(UnavailableError):
            await pool.look()
        pool.clients.fails.clear()
        pool.clients.lost.clear()
        left = await pool.look()
        assert (left.secrets, pool.held) == (machine.secrets[1:], {machine.secrets[1].id})

    asyncio.run(scenario())


def test_a_machine_of_a_later_release_is_left_alone(pool: Pool) -> None:
    """Nobody knows what its state means."""

    async def scenario() -> None:
        later = await pool.machine(NOW - 1, state=MachineState.UNKNOWN)
        assert await pool.look() == later

    asyncio.run(scenario())


def test_work_for_a_machine_that_is_no_more_is_done(pool: Pool) -> None:
    """Its row's time was over."""
    asyncio.run(pool.upkeep.handle(pool.tenant, settling(pool.tenant, "gone")))
    assert pool.wakes == []
