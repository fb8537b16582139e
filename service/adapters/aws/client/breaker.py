"""Cuts off a dependency of a tenant that fails, and lets one call at a time try it again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import structlog

from service.adapters.aws.client.failures import (
    AwsRefusalError,
    NoAnswerError,
    NoTimeLeftError,
    UnreadableAnswerError,
)
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random
    from types import TracebackType

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
# In a row: one that fails now and then is tried again by whoever asks, not cut off.
FAILURES: Final = 5
FIRST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 10.0


class Breakers:
    """What failed of late, by tenant and dependency; for one event loop.

    After ``FAILURES`` calls in a row that got no answer the dependency is cut off for that owner
    alone: callers are refused at once, and so hold no place while they wait for a time-out. After a
    pause with jitter one call is let through, the probe; its answer lets all through, its failure
    doubles the pause, up to ``most_seconds``.

    Args:
        most_seconds: the longest pause; so long may an outage last longer for its callers.
        clock: seconds, monotonic.
        random: for the jitter.
    """

    def __init__(
        self,
        *,
        most_seconds: float = MOST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._most_seconds = most_seconds
        self._clock = clock
        self._random = random or SystemRandom()
        # Those alone that failed since they last answered, of tenants that the registry knows.
        self._failing: dict[tuple[str, str], _Failing] = {}

    @property
    def open(self) -> list[tuple[str, str]]:
        """Owners and dependencies that are cut off."""
        return [key for key, failing in self._failing.items() if failing.is_open]

    def check(self, owner: str, dependency: str) -> None:
        """Refuse what would be refused, before it waits for anything.

        Raises:
            UnavailableError: cut off.
        """
        failing = self._failing.get((owner, dependency))
        if failing is not None and (wait := failing.wait_seconds(self._clock())) is not None:
            raise UnavailableError(dependency, wait_seconds=wait, is_lost=False)

    def call(self, owner: str, dependency: str) -> Attempt:
        """One call, within ``with``; how it leaves tells how the dependency is.

        No answer in time, one that cannot be read and a fault of AWS are failures; that AWS
        throttled, a request whose own time was over and being cancelled tell nothing; anything else
        is an answer.

        Raises:
            UnavailableError: cut off.
        """
        self.check(owner, dependency)
        failing = self._failing.get((owner, dependency))
        is_probe = failing is not None and failing.is_open
        if failing is not None and is_probe:
            failing.is_probed = True
        return Attempt(self, (owner, dependency), is_probe=is_probe)

    def answered(self, key: tuple[str, str], *, is_probe: bool) -> None:
        """The dependency works; what began before it was cut off does not tell that."""
        failing = self._failing.get(key)
        if failing is not None and (is_probe or not failing.is_open):
            del self._failing[key]
            if is_probe:
                log.warning("breaker.closed", owner=key[0], what=key[1])

    def failed(self, key: tuple[str, str], *, is_probe: bool) -> None:
        """The dependency gave no answer."""
        failing = self._failing.setdefault(key, _Failing())
        failing.failures += 1
        if is_probe or (not failing.is_open and failing.failures >= FAILURES):
            failing.open(self._clock(), self._most_seconds, self._random)
            log.warning("breaker.open", owner=key[0], what=key[1], seconds=failing.pause)

    def told_nothing(self, key: tuple[str, str], *, is_probe: bool) -> None:
        """Nobody knows; after a probe the next call is one."""
        failing = self._failing.get(key)
        if failing is not None and is_probe:
            failing.is_probed = False


class Attempt:
    """One call, and how it ends."""

    __slots__ = ("_breakers", "_is_probe", "_key")

    def __init__(self, breakers: Breakers, key: tuple[str, str], *, is_probe: bool) -> None:
        self._breakers, self._key, self._is_probe = breakers, key, is_probe

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            tell = self._breakers.answered
        elif isinstance(error, NoTimeLeftError):
            tell = self._breakers.told_nothing
        elif isinstance(
            error, TimeoutError | UnavailableError | NoAnswerError | UnreadableAnswerError
        ):
            throttled = isinstance(error, UnavailableError) and error.is_throttled
            tell = self._breakers.told_nothing if throttled else self._breakers.failed
        elif isinstance(error, AwsRefusalError) and error.is_fault:
            tell = self._breakers.failed
        elif isinstance(error, AwsRefusalError) and error.is_throttled:
            tell = self._breakers.told_nothing
        elif isinstance(error, Exception):
            tell = self._breakers.answered
        else:  # cancelled, or the process ends
            tell = self._breakers.told_nothing
        tell(self._key, is_probe=self._is_probe)


@dataclass(kw_only=True)
class _Failing:
    """A dependency that failed.

    Attributes:
        failures: since it last answered.
        pause: seconds of the present cut; 0: not cut off.
        until: when the pause ends.
        is_probed: whether the probe is on its way.
    """

    failures: int = 0
    pause: float = 0.0
    until: float = 0.0
    is_probed: bool = False

    @property
    def is_open(self) -> bool:
        return self.pause > 0

    def open(self, now: float, most_seconds: float, random: Random) -> None:
        self.pause = min(most_seconds, 2 * self.pause or FIRST_SECONDS)
        # Half of it at random, so that processes do not come back together.
        self.until = now + self.pause * random.uniform(0.5, 1)
        self.is_probed = False

    def wait_seconds(self, now: float) -> float | None:
        """Until a call is let through again, or ``None``: now."""
        if not self.is_open or (now >= self.until and not self.is_probed):
            return None
        return max(0.0, self.until - now)
