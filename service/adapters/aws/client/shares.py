"""Shares calls in flight between tenants: each has its part, and who waits is served in turn."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from service.errors import OverShareError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
# How much of an owner's mean time the last call of it is.
_LAST: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many calls there may be.

    Attributes:
        in_all: in flight, of all owners together.
        of_owner: in flight of one owner; well below ``in_all``, so that others find room.
        of_each: in flight of one owner at one dependency, so that one that hangs leaves it others.
        waiting: of one owner, beside those in flight; one more is refused.
    """

    in_all: int
    of_owner: int
    of_each: int
    waiting: int


class Shares:
    """Gives out places for calls; for one event loop.

    An owner below its share goes at once while there is room. Where there is none, owners are
    served in turn, one call each: what a tenant waits for comes before the next call of one that
    has just had its turn, however many calls that has waiting.

    Args:
        share: how many calls there may be.
        clock: seconds, monotonic.
    """

    def __init__(self, share: Share, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._open = 0
        # Those with a call in flight or waiting, so never more than there are calls.
        self._owners: dict[str, _Owner] = {}
        self._ring: deque[_Owner] = deque()

    @property
    def open(self) -> int:
        """Calls in flight."""
        return self._open

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return sum(owner.count for owner in self._owners.values())

    def place(self, owner: str, dependency: str, *, until: float | None = None) -> Place:
        """A place for one call, held within ``async with``.

        Entering it raises ``OverShareError`` if as many calls of the owner wait as may, and
        ``TimeoutError`` if its turn does not come in time.

        Args:
            owner: whose call it is: a tenant's id.
            dependency: whom it asks, in our words, e.g. ``the commands table``.
            until: how long it may wait for its turn, by the loop's clock.
        """
        return Place(self, owner, dependency, until)

    async def take(self, name: str, dependency: str, until: float | None = None) -> None:
        """Return once the call may go; each must be given back."""
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = _Owner(name)
        if self._open < self._share.in_all and owner.may(dependency, self._share):
            self._grant(owner, dependency)
            return
        # Fail closed: shed load instead of queueing without end.
        if owner.count >= self._share.waiting:
            log.warning("share.used_up", owner=name, what=dependency, waiting=owner.count)
            raise OverShareError(dependency, wait_seconds=owner.wait_seconds(self._share))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        owner.queue(dependency, turn)
        self._line_up(owner)
        async with asyncio.timeout_at(until):
            await self._turn(owner, dependency, turn)

    async def _turn(self, owner: _Owner, dependency: str, turn: asyncio.Future[None]) -> None:
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                owner.leave(dependency, turn)
                self._forget(owner)
            else:  # it was given its turn in the same moment
                self.give_back(owner.name, dependency, None)
            raise

    def give_back(self, name: str, dependency: str, seconds: float | None) -> None:
        """End a call, so that the next may go.

        Args:
            name: of the owner.
            dependency: as taken.
            seconds: how long it took; ``None``: it was not made.
        """
        owner = self._owners[name]
        owner.end(dependency, seconds)
        self._open -= 1
        self._line_up(owner)
        while self._ring and self._open < self._share.in_all:
            self._serve(self._ring.popleft())
        self._forget(owner)

    def now(self) -> float:
        """Seconds of the clock."""
        return self._clock()

    def _grant(self, owner: _Owner, dependency: str) -> None:
        self._open += 1
        owner.begin(dependency)

    def _serve(self, owner: _Owner) -> None:
        owner.is_lined_up = False
        if (dependency := owner.next(self._share)) is not None:
            turn = owner.pop(dependency)
            if not turn.cancelled():
                self._grant(owner, dependency)
                turn.set_result(None)
            self._line_up(owner)
        self._forget(owner)

    def _line_up(self, owner: _Owner) -> None:
        """Have the owner served in its turn, if there is what may go."""
        if not owner.is_lined_up and owner.next(self._share) is not None:
            owner.is_lined_up = True
            self._ring.append(owner)

    def _forget(self, owner: _Owner) -> None:
        if not owner.open and not owner.count and not owner.is_lined_up:
            self._owners.pop(owner.name, None)


class Place:
    """One call's place among those in flight."""

    __slots__ = ("_dependency", "_owner", "_shares", "_since", "_until")

    def __init__(
        self, shares: Shares, owner: str, dependency: str, until: float | None = None
    ) -> None:
        self._shares, self._owner, self._dependency = shares, owner, dependency
        self._since, self._until = 0.0, until

    async def __aenter__(self) -> None:
        await self._shares.take(self._owner, self._dependency, self._until)
        self._since = self._shares.now()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        took = self._shares.now() - self._since
        self._shares.give_back(self._owner, self._dependency, took)


@dataclass(kw_only=True, eq=False)
class _Counts:
    """Calls of one owner at one dependency."""

    open: int = 0
    turns: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])


@dataclass(eq=False)
class _Owner:
    """Calls of one owner; ``mean`` is how many seconds one takes."""

    name: str
    open: int = 0
    count: int = 0
    mean: float = 0.0
    is_lined_up: bool = False
    by_dependency: dict[str, _Counts] = field(default_factory=dict[str, _Counts])

    def may(self, dependency: str, share: Share) -> bool:
        counts = self.by_dependency.get(dependency)
        return self.open < share.of_owner and (counts is None or counts.open < share.of_each)

    def next(self, share: Share) -> str | None:
        """The dependency of the call that may go next: each in its turn."""
        if not self.count or self.open >= share.of_owner:
            return None
        return next(
            (
                name
                for name, counts in self.by_dependency.items()
                if counts.turns and counts.open < share.of_each
            ),
            None,
        )

    def queue(self, dependency: str, turn: asyncio.Future[None]) -> None:
        self.by_dependency.setdefault(dependency, _Counts()).turns.append(turn)
        self.count += 1

    def pop(self, dependency: str) -> asyncio.Future[None]:
        counts = self.by_dependency.pop(dependency)
        turn = counts.turns.popleft()
        self.count -= 1
        if counts.open or counts.turns or not turn.cancelled():
            self.by_dependency[dependency] = counts  # behind the others
        return turn

    def leave(self, dependency: str, turn: asyncio.Future[None]) -> None:
        counts = self.by_dependency.get(dependency)
        if counts is not None and turn in counts.turns:
            counts.turns.remove(turn)
            self.count -= 1
            self._forget(dependency, counts)

    def begin(self, dependency: str) -> None:
        self.by_dependency.setdefault(dependency, _Counts()).open += 1
        self.open += 1

    def end(self, dependency: str, seconds: float | None) -> None:
        counts = self.by_dependency[dependency]
        counts.open -= 1
        self.open -= 1
        self._forget(dependency, counts)
        if seconds is not None:
            self.mean += (seconds - self.mean) * (_LAST if self.mean else 1)

    def wait_seconds(self, share: Share) -> float:
        """Until those that wait by now are served, as far as one can tell."""
        return self.mean * (1 + self.count / share.of_owner)

    def _forget(self, dependency: str, counts: _Counts) -> None:
        if not counts.open and not counts.turns:
            del self.by_dependency[dependency]
