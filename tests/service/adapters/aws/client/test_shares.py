"""Places for calls: within each bound, in turn between tenants, and never lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.aws.client.shares import Share, Shares
from service.errors import OverShareError
from tests.service.adapters.aws.client.clock import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = Share(in_all=4, of_owner=3, of_each=2, waiting=9)
OWNERS = ("acme", "globex", "initech")
DEPENDENCIES = ("the table", "the store")


@dataclass(eq=False)
class Caller:
    """One call, which is held until the test ends it."""

    owner: str
    dependency: str
    is_in: bool = False
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, shares: Shares, order: list[str]) -> None:
        """Go in, stay, and leave."""
        async with shares.place(self.owner, self.dependency):
            order.append(self.owner)
            self.is_in = True
            try:
                await self.end.wait()
            finally:
                self.is_in = False


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(6):
        await asyncio.sleep(0)


class Line:
    """Calls that a test began, and in which order they went in."""

    def __init__(self, share: Share) -> None:
        self.shares = Shares(share, clock=Seconds())
        self.order: list[str] = []
        self.tasks: dict[Caller, asyncio.Task[None]] = {}

    async def begin(self, owner: str, dependency: str = "the table") -> Caller:
        """Begin a call."""
        caller = Caller(owner, dependency)
        self.tasks[caller] = asyncio.ensure_future(caller.call(self.shares, self.order))
        await settled()
        return caller

    async def end(self, caller: Caller) -> None:
        """Have a call that is in end."""
        caller.end.set()
        await settled()

    def within(self) -> Iterator[Caller]:
        """Calls that are in."""
        return (caller for caller in self.tasks if caller.is_in)

    def waiting(self) -> Iterator[Caller]:
        """Calls that wait."""
        return (one for one, task in self.tasks.items() if not one.is_in and not task.done())


def test_who_waits_goes_before_a_greedy_tenants_next() -> None:
    """However many calls the greedy one has waiting: one of each in turn."""

    async def scenario() -> None:
        line = Line(Share(in_all=2, of_owner=2, of_each=2, waiting=100))
        for _ in range(50):
            await line.begin("greedy")
        for owner in ("acme", "globex", "acme"):
            await line.begin(owner)
        while inside := next(line.within(), None):
            await line.end(inside)
        turns = ["greedy", "greedy", "acme", "globex", "greedy", "acme", "greedy"]
        assert line.order[: len(turns)] == turns
        assert len(line.order) == 53
        assert (line.shares.open, line.shares.waiting) == (0, 0)

    asyncio.run(scenario())


def test_a_hanging_dependency_leaves_its_tenant_others() -> None:
    """And leaves every other tenant the very dependency that hangs for one."""

    async def scenario() -> None:
        line = Line(SHARE)
        for _ in range(4):
            await line.begin("acme", "the store")
        assert (await line.begin("acme", "the table")).is_in
        assert (await line.begin("globex", "the store")).is_in
        assert Counter(one.owner for one in line.within()) == {"acme": 3, "globex": 1}

    asyncio.run(scenario())


def test_a_place_that_frees_takes_nobody_over_their_share() -> None:
    """Neither at one dependency nor of one tenant, whoever's call has ended."""

    async def scenario() -> None:
        line = Line(SHARE)
        store, _ = [await line.begin("acme", "the store") for _ in range(2)]
        table = await line.begin("acme", "the table")
        third = await line.begin("acme", "the store")
        await line.end(table)
        assert not third.is_in, "two are at the store already"
        assert (await line.begin("acme", "the table")).is_in
        fourth = await line.begin("acme", "the table")
        await line.end(await line.begin("globex", "the table"))
        assert not fourth.is_in, "three of acme's are in already"
        await line.end(store)
        assert Counter(one.owner for one in line.within()) == {"acme": 3}
        for task in line.tasks.values():
            task.cancel()
        await settled()

    asyncio.run(scenario())


def test_over_its_share_a_tenant_is_told_how_long_to_wait() -> None:
    """As many wait as may, and the time is that of its own calls."""

    async def scenario() -> None:
        clock = Seconds()
        shares = Shares(Share(in_all=1, of_owner=1, of_each=1, waiting=3), clock=clock)
        async with shares.place("acme", "the table"):
            clock.at += 2
        async with shares.place("globex", "the table"):
            waiting = [asyncio.ensure_future(shares.take("acme", "the table")) for _ in range(3)]
            await settled()
            with pytest.raises(OverShareError, match="wait for the table"):
                await shares.take("acme", "the table")
            other = asyncio.ensure_future(shares.take("initech", "the table"))
            await settled()
            assert not other.done()
        for task in (*waiting, other):
            task.cancel()
        await settled()

    asyncio.run(scenario())


def test_the_time_to_wait_grows_with_the_line() -> None:
    """The mean of the tenant's calls, times how often its share must be filled."""

    async def scenario() -> None:
        clock = Seconds()
        shares = Shares(Share(in_all=9, of_owner=1, of_each=1, waiting=3), clock=clock)
        held = shares.place("acme", "the table")
        async with held:
            waiting = [asyncio.ensure_future(shares.take("acme", "the table")) for _ in range(3)]
            await settled()
            clock.at += 2
        await settled()  # one of them is in
        waiting.append(asyncio.ensure_future(shares.take("acme", "the table")))
        await settled()
        with pytest.raises(OverShareError) as refused:
            await shares.take("acme", "the table")
        assert refused.value.wait_seconds == 2 * (1 + 3)
        for task in waiting:
            task.cancel()
        await settled()

    asyncio.run(scenario())


def test_who_leaves_in_the_moment_of_its_turn_gives_it_on() -> None:
    """A client that hangs up takes no place with it, before its turn, at it, or after."""

    async def scenario() -> None:
        line = Line(Share(in_all=1, of_owner=1, of_each=1, waiting=9))
        first = await line.begin("acme")
        leaving, staying = await line.begin("acme"), await line.begin("globex")
        gone = await line.begin("globex")
        line.tasks[gone].cancel()
        await settled()
        first.end.set()
        await asyncio.sleep(0)  # acme's other call has its turn, and has not gone on
        await asyncio.sleep(0)
        line.tasks[leaving].cancel()
        await settled()
        assert staying.is_in
        line.tasks[staying].cancel()
        await settled()
        assert (line.shares.open, line.shares.waiting) == (0, 0)
        assert (await line.begin("initech")).is_in

    asyncio.run(scenario())


def test_who_leaves_before_its_turn_leaves_its_room_in_the_line() -> None:
    """At once: others may wait in its stead, and they are served."""

    async def scenario() -> None:
        line = Line(Share(in_all=1, of_owner=1, of_each=1, waiting=2))
        first = await line.begin("acme")
        for gone in [await line.begin("acme") for _ in range(2)]:
            line.tasks[gone].cancel()
        await settled()
        assert line.shares.waiting == 0
        staying = [await line.begin("acme") for _ in range(2)]
        assert line.shares.waiting == 2
        for before, one in zip([first, *staying], staying, strict=False):
            await line.end(before)
            assert one.is_in
        await line.end(staying[-1])
        assert (line.shares.open, line.shares.waiting, line.shares._owners) == (0, 0, {})

    asyncio.run(scenario())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(OWNERS), st.sampled_from(DEPENDENCIES)),
        st.tuples(st.sampled_from(["end", "leave", "leave at once"]), st.integers(0, 50)),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_every_history_keeps_the_bounds_and_no_room_idle(
    steps: list[tuple[str, str | int]],
) -> None:
    """Whatever begins, ends and leaves: no bound is broken, who may go goes, no place is lost."""

    async def scenario() -> None:
        line = Line(SHARE)
        for step, argument in steps:
            if isinstance(argument, str):
                await line.begin(step, argument)
            elif step == "end" and (inside := list(line.within())):
                await line.end(inside[argument % len(inside)])
            elif open_calls := [one for one, task in line.tasks.items() if not task.done()]:
                chosen = open_calls[argument % len(open_calls)]
                if step == "leave at once" and (inside := list(line.within())):
                    inside[0].end.set()
                    await asyncio.sleep(0)
                line.tasks[chosen].cancel()
                await settled()
            check(line)
        for task in line.tasks.values():
            task.cancel()
        await settled()
        assert (line.shares.open, line.shares.waiting) == (0, 0)
        assert not line.shares._owners

    asyncio.run(scenario())


def check(line: Line) -> None:
    """Every bound holds, and whoever waits has a reason to."""
    inside = list(line.within())
    owners = Counter(one.owner for one in inside)
    each = Counter((one.owner, one.dependency) for one in inside)
    assert line.shares.open == len(inside) <= SHARE.in_all
    assert all(count <= SHARE.of_owner for count in owners.values())
    assert all(count <= SHARE.of_each for count in each.values())
    for one in line.waiting():
        assert (
            len(inside) == SHARE.in_all
            or owners[one.owner] == SHARE.of_owner
            or each[one.owner, one.dependency] == SHARE.of_each
        )
    for task in line.tasks.values():
        if task.done() and not task.cancelled():
            assert task.exception() is None or isinstance(task.exception(), OverShareError)
