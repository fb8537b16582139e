"""Credentials are asked for once for all, before they end, and not at once after a failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from service.adapters.aws.client.credentials import OwnCredentials, Refreshing
from service.adapters.aws.client.failures import AwsCallError, NoAnswerError
from service.adapters.aws.client.signing import AwsCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FAILURE = NoAnswerError("it broke", is_lost=True)


@dataclass
class Provider:
    """Gives credentials that end after an hour, once the test lets it answer.

    Attributes:
        now: seconds since the epoch.
        lasts: seconds that they are good for; None: without end.
        fails: what it raises instead.
    """

    now: float = 1000.0
    lasts: float | None = 3600.0
    fails: AwsCallError | None = None
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> AwsCredentials:
        """New ones, numbered."""
        self.asked += 1
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        ends = None if self.lasts is None else self.now + self.lasts
        return AwsCredentials(access_key=str(self.asked), secret_key="s", expires_at=ends)

    def refreshing(self, refresh_after: float | None = None) -> Refreshing:
        """Over it."""
        return Refreshing(self, refresh_after=refresh_after, clock=lambda: self.now)


def run(scenario: Callable[[Provider], Awaitable[None]], **provider: float | None) -> Provider:
    """A provider that answers at once, after a scenario with it."""

    async def body() -> Provider:
        made = Provider(**provider)  # pyright: ignore[reportArgumentType] - of its attributes
        made.gate.set()
        await scenario(made)
        return made

    return asyncio.run(body())


async def flown(refreshing: Refreshing) -> None:
    """Until nothing is being asked."""
    flight = refreshing._flight
    assert flight is not None
    await asyncio.wait({flight})


async def key(refreshing: Refreshing) -> str:
    """Which ones are given."""
    return (await refreshing.get()).access_key


def test_good_credentials_are_used_until_they_are_due() -> None:
    """For three quarters of an hour, then new ones are asked for while the old ones sign."""

    async def scenario(provider: Provider) -> None:
        held = provider.refreshing()
        assert await key(held) == "1"
        provider.now += 2699
        assert (await key(held), provider.asked) == ("1", 1)
        provider.now += 1
        assert await key(held) == "1"
        await flown(held)
        assert (await key(held), provider.asked) == ("2", 2)

    run(scenario)


def test_what_ends_in_a_moment_signs_nothing() -> None:
    """Five seconds before the end whoever asks waits for new ones: clocks differ."""

    async def scenario(provider: Provider) -> None:
        held = provider.refreshing()
        assert await key(held) == "1"
        provider.now += 3595
        assert await key(held) == "2"

    run(scenario)


def test_all_who_wait_share_one_question() -> None:
    """One that leaves takes them from nobody."""

    async def scenario(provider: Provider) -> None:
        provider.gate.clear()
        held = provider.refreshing()
        asking = [asyncio.ensure_future(held.get()) for _ in range(20)]
        await asyncio.wait(asking, timeout=0)
        asking[0].cancel()
        provider.gate.set()
        got = await asyncio.gather(*asking[1:])
        assert {one.access_key for one in got} == {"1"}
        assert provider.asked == 1

    run(scenario)


def test_a_failure_is_shared_for_two_seconds_from_its_end() -> None:
    """Then it is asked again; without credentials everybody is told."""

    async def scenario(provider: Provider) -> None:
        provider.fails = FAILURE
        held = provider.refreshing()
        with capture_logs() as lines, pytest.raises(NoAnswerError):
            await held.get()
        assert [line["event"] for line in lines] == ["aws.no_credentials"]
        provider.now += 1.9
        with pytest.raises(NoAnswerError):
            await held.get()
        assert provider.asked == 1
        provider.now, provider.fails = provider.now + 0.1, None
        assert (await key(held), provider.asked) == ("2", 2)

    run(scenario)


def test_while_there_are_good_ones_a_failure_stops_nobody() -> None:
    """It is asked once in two seconds, in the background, and what is good goes on signing."""

    async def scenario(provider: Provider) -> None:
        held = provider.refreshing()
        await held.get()
        provider.now, provider.fails = provider.now + 2800, FAILURE
        assert await key(held) == "1"
        await flown(held)
        provider.now += 1.9
        assert await key(held) == "1"
        await flown(held)
        assert provider.asked == 2
        provider.now, provider.fails = provider.now + 0.1, None
        assert await key(held) == "1"
        await flown(held)
        assert (await key(held), provider.asked) == ("3", 3)
        # A failure of before says nothing of those that came since.
        provider.now += 3595
        assert await key(held) == "4"

    run(scenario)


def test_credentials_without_an_end_are_looked_at_again() -> None:
    """As those of a file, which may have changed; what is held signs meanwhile."""

    async def scenario(provider: Provider) -> None:
        held = provider.refreshing(refresh_after=60)
        await held.get()
        provider.now += 59
        assert (await key(held), provider.asked) == ("1", 1)
        provider.now += 1
        assert await key(held) == "1"
        await flown(held)
        assert (await key(held), provider.asked) == ("2", 2)

    run(scenario, lasts=None)


def test_without_a_time_to_look_again_they_are_kept() -> None:
    """What neither ends nor may have changed is asked for once."""

    async def scenario(provider: Provider) -> None:
        held = provider.refreshing()
        await held.get()
        provider.now += 1e9
        assert (await key(held), provider.asked) == ("1", 1)

    run(scenario, lasts=None)


class Broken:
    """A provider whose error quotes a secret."""

    def get_frozen_credentials(self) -> object:
        """Fails.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("hidden-key")


def test_the_service_signs_with_what_botocore_finds() -> None:
    """Key, secret and token; its provider is kept, and asked again for those that end."""
    own = OwnCredentials()
    frozen = SimpleNamespace(access_key="a", secret_key="s", token="t")
    own._found = SimpleNamespace(get_frozen_credentials=lambda: frozen)
    made = asyncio.run(own.get())
    assert made == AwsCredentials(access_key="a", secret_key="s", token="t")


@pytest.mark.parametrize(
    "found",
    [Broken(), SimpleNamespace(get_frozen_credentials=lambda: None)],
    ids=["broken", "none"],
)
def test_no_credentials_of_its_own_are_an_outage(found: object) -> None:
    """Told without the provider's words, which may quote."""
    own = OwnCredentials()
    own._found = found
    with capture_logs() as lines, pytest.raises(NoAnswerError, match="no credentials") as caught:
        asyncio.run(own.get())
    assert not caught.value.is_lost
    assert "hidden-key" not in str(caught.value) + repr(lines)
