"""A grant that is cut off at any call, or meets another change, comes to its end by the worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.grants import MemoryGrantedPolicies, MemoryGrantRecords, policy_id_of
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.user_pool import MemoryUserPool
from service.adapters.memory.work import MemoryTimers, MemoryWorkQueue
from service.cedar.granted import fingerprint
from service.domain.grants import Grant, GrantState
from service.domain.instants import milliseconds
from service.domain.work import UnreadableWorkError, Work, WorkKind
from service.errors import ConflictError, UnavailableError
from service.operations.granting import CLEANED_AFTER, LOOK_AFTER, Granting
from service.operations.revocations import Revocations
from tests.service.operations.cut_line import Line, Wrapped, cut

if TYPE_CHECKING:
    from collections.abc import Awaitable

ACME = MemoryUserPool("acme").tenant
ID = "01JD0000000000000000000000"
BEGINNING = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
ENDS = BEGINNING + timedelta(hours=2)
GRANT = Grant(
    grant_id=ID,
    tenant="acme",
    template="technician-for-line",
    person="kim",
    subject="kim",
    email="kim@acme.test",
    device="press-07",
    group=None,
    until=milliseconds(ENDS),
    reason="Lee is away",
    statement='@id("grant-01JD0000000000000000000000")\npermit (principal, action, resource);',
    given_by="pool|boss",
    given_at=milliseconds(BEGINNING),
)
MARK = fingerprint(GRANT.statement)
GIVING, REVOKING = 5, 5
"""Calls that giving and revoking make: found below to be as many."""


@dataclass
class World:
    """One grant, and what there is of it everywhere; the clock is moved by the test."""

    now: datetime = BEGINNING
    records: MemoryGrantRecords = field(default_factory=MemoryGrantRecords)
    revoked: MemoryRevocations = field(default_factory=MemoryRevocations)
    queue: MemoryWorkQueue = field(default_factory=MemoryWorkQueue)
    timers: MemoryTimers = field(default_factory=MemoryTimers)

    def __post_init__(self) -> None:
        self.policies = MemoryGrantedPolicies(revocations=self.revoked)

    def granting(self, line: Line | None = None) -> Granting:
        """The steps of a process, behind a line."""
        behind = line or Line()

        def wrapped(name: str) -> Any:
            return Wrapped(name, getattr(self, name), behind)

        return Granting(
            records=wrapped("records"),
            policies=wrapped("policies"),
            revocations=Revocations(self.revoked, lambda: self.now),
            queue=wrapped("queue"),
            timers=self.timers,
            clock=lambda: self.now,
        )

    async def give(self, line: Line | None = None) -> Grant:
        """What ``Grants.give`` does once it is decided."""
        granting = self.granting(line)
        await granting.look_later(ACME, ID)
        record = await granting.records.create(ACME, GRANT, None)
        return await granting.stand(ACME, record)

    async def revoke(self, line: Line | None = None) -> Grant:
        """What ``Grants.revoke`` does once it is decided."""
        grant = self.recorded
        assert grant is not None
        return await self.granting(line).revoke(ACME, grant, by="pool|boss")

    @property
    def recorded(self) -> Grant | None:
        """The record of now."""
        return self.records.once.records.get(("acme", ID))

    @property
    def counts(self) -> bool:
        """Whether the store gives it and no process refuses it."""
        held = ("acme", ID) in self.policies.held
        return held and policy_id_of(GRANT) not in self.revoked.ended.get("acme", ())

    @property
    def agrees(self) -> bool:
        """Whether the store holds what every process is told that it holds."""
        held = frozenset(fingerprint(text) for text in self.policies.held.values())
        return held == self.revoked.granted.get("acme", frozenset())

    async def work(self, upto: datetime) -> None:
        """Let the worker do what is sent and what is due until a moment."""
        while True:
            sent = [Work.decode(one.text) for one in self.queue.waiting]
            self.queue.waiting.clear()
            due = [*sent, *self.timers.due(self.now)]
            for one in due:
                await self.granting().look(ACME, one)
            if not due:
                times = [at for at, _ in self.timers.set_for.values() if at <= upto]
                if not times:
                    break
                self.now = min(times)
        self.now = upto


def play(steps: Awaitable[None]) -> None:
    """Run a scenario."""

    async def run() -> None:
        await steps

    asyncio.run(run())


def test_so_many_calls_are_made_and_in_this_order() -> None:
    """Told before it is done; what is revoked counts no more before the store is asked."""

    async def steps() -> None:
        world, giving, revoking = World(), Line(), Line()
        assert (await world.give(giving)).state is GrantState.ACTIVE
        assert giving.calls == [
            *["queue.send", "records.create", "policies.tell", "policies.put", "records.settle"],
        ]
        assert (await world.revoke(revoking)).state is GrantState.REVOKED
        assert revoking.calls == [
            *["queue.send", "records.settle", "policies.end", "policies.remove", "records.settle"],
        ]
        assert (len(giving.calls), len(revoking.calls)) == (GIVING, REVOKING)

    play(steps())


@pytest.mark.parametrize("number", range(1, GIVING + 1))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_giving_that_is_cut_off_is_brought_to_its_end(where: str, number: int) -> None:
    """Once it is recorded it stands after two minutes; of what is not recorded nothing is left."""

    async def steps() -> None:
        world = World()
        with pytest.raises(UnavailableError):
            await world.give(cut(where, number))
        await world.work(BEGINNING + LOOK_AFTER)
        grant = world.recorded
        assert world.agrees
        assert world.counts is (grant is not None)
        if grant is None:
            assert (number, world.timers.set_for) <= (2, {})
            return
        assert (grant.state, grant.policy_id) == (GrantState.ACTIVE, policy_id_of(GRANT))
        await world.work(ENDS + CLEANED_AFTER)
        ended = world.recorded
        assert ended is not None
        assert (ended.state, ended.over_at) == (GrantState.ENDED, GRANT.until)
        assert (world.policies.held, world.timers.set_for, world.agrees) == ({}, {}, True)

    play(steps())


@pytest.mark.parametrize("number", range(1, REVOKING + 1))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_revoking_that_is_cut_off_is_brought_to_its_end(where: str, number: int) -> None:
    """Once it is recorded it is over after two minutes, and ten later nothing of it is left."""

    async def steps() -> None:
        world = World()
        await world.give()
        await world.work(BEGINNING + timedelta(minutes=1))
        line = cut(where, number)
        try:
            await world.revoke(line)
        except UnavailableError:
            pass
        else:
            # The store alone did not answer: it counts no more, and the worker removes it.
            assert line.calls[number - 1] in {"policies.remove", "records.settle"}
            assert not world.counts
        if "policies.end" in line.calls[: number if where == "behind" else number - 1]:
            assert not world.counts
        begun = world.recorded
        assert begun is not None
        await world.work(world.now + LOOK_AFTER)
        assert world.agrees
        if begun.state is GrantState.ACTIVE:
            assert world.counts
            return
        grant = world.recorded
        assert grant is not None
        assert (grant.state, grant.revoked_by, world.counts) == (
            GrantState.REVOKED,
            "pool|boss",
            False,
        )
        await world.work(world.now + CLEANED_AFTER)
        assert (world.revoked.ended["acme"], world.timers.set_for) == (frozenset(), {})

    play(steps())


@pytest.mark.parametrize("number", range(1, REVOKING + 1))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_repeat_brings_a_revocation_to_its_end(where: str, number: int) -> None:
    """Whatever became of the first request, the second leaves nothing that counts."""

    async def steps() -> None:
        world = World()
        await world.give()
        try:
            await world.revoke(cut(where, number))
        except UnavailableError:
            if world.recorded is not None and world.recorded.state is GrantState.REVOKED:
                return  # it was done, and its answer lost
        again = await world.revoke()
        assert again.state is GrantState.REVOKED
        assert (world.counts, world.policies.held, world.agrees) == (False, {}, True)

    play(steps())


def test_a_pending_grant_is_revoked_and_does_not_come_back() -> None:
    """Whoever is slow in giving finds that it was revoked, and takes back what it did."""

    async def steps() -> None:
        world = World()
        await world.records.create(ACME, GRANT, None)
        assert (await world.revoke()).state is GrantState.REVOKED
        with pytest.raises(ConflictError):
            await world.granting().stand(ACME, GRANT)
        assert (world.counts, world.policies.held, world.agrees) == (False, {}, True)

    play(steps())


def test_of_two_that_give_the_same_both_are_answered() -> None:
    """A repeat with the same key meets the first one: one grant stands, and both say so."""

    async def steps() -> None:
        world = World()
        await world.records.create(ACME, GRANT, None)
        first = await world.granting().stand(ACME, GRANT)
        second = await world.granting().stand(ACME, GRANT)
        assert first == second == world.recorded
        assert world.counts

    play(steps())


def test_a_full_store_refuses_and_leaves_nothing() -> None:
    """In words; the record says so, and copies of the policies are good again."""

    async def steps() -> None:
        world = World()
        world.policies.full = True
        with pytest.raises(ConflictError, match="no room"):
            await world.give()
        assert world.recorded is not None
        assert world.recorded.state is GrantState.REFUSED
        assert world.agrees
        await world.work(ENDS + CLEANED_AFTER)
        assert (world.policies.held, world.timers.set_for) == ({}, {})

    play(steps())


def test_what_a_later_release_wrote_is_left_alone() -> None:
    """The worker neither ends nor removes it."""

    async def steps() -> None:
        world = World()
        await world.give()
        world.records.once.records["acme", ID] = replace(GRANT, state=GrantState.UNKNOWN)
        world.now = ENDS + CLEANED_AFTER
        await world.work(world.now)
        assert world.policies.held
        with pytest.raises(UnreadableWorkError):
            await world.granting().look(
                ACME, Work(kind=WorkKind.LOOK_AT_GRANT, issuer=ACME.issuer, tenant="acme")
            )

    play(steps())


def test_a_revocation_counts_in_its_own_process_at_once() -> None:
    """Though what it was told of a moment ago is still fresh."""

    async def steps() -> None:
        world = World()
        await world.give()
        granting = world.granting()
        assert (await granting.revocations.word(ACME)).granted == {MARK}
        assert world.recorded is not None
        await granting.revoke(ACME, world.recorded, by="pool|boss")
        assert MARK not in (await granting.revocations.word(ACME)).granted

    play(steps())


def test_who_is_at_it_is_left_the_time_for_it() -> None:
    """A message that was sent before anything was done looks only once that must be over."""

    async def steps() -> None:
        world = World()
        await world.give()
        assert world.recorded is not None
        world.records.once.records["acme", ID] = replace(
            world.recorded, state=GrantState.REVOKING, over_at=milliseconds(BEGINNING)
        )
        world.queue.waiting.clear()
        await world.granting().look_later(ACME, ID)
        [sent] = [Work.decode(one.text) for one in world.queue.waiting]
        again = milliseconds(BEGINNING) + 1000
        assert int(sent.about["again"]) > again
        for left in (1, 0):
            world.timers.set_for.clear()
            world.now = datetime.fromtimestamp((int(sent.about["again"]) - left) / 1000, UTC)
            await world.granting().look(ACME, sent)
            assert world.recorded.state is (GrantState.REVOKING if left else GrantState.REVOKED)
            assert len(world.timers.set_for) == 1

    play(steps())
