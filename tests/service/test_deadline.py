"""A request's waits end with its time; what others wait for too goes on without it."""

from __future__ import annotations

import asyncio
import math

import pytest

from service import deadline
from service.errors import OutOfTimeError


def test_a_wait_ends_with_the_requests_time() -> None:
    """It says whom it waited for; without a request there is no end, and one's own limits stay."""

    async def scenario() -> None:
        assert deadline.remaining() == math.inf
        async with deadline.within("the part"):
            pass
        deadline.begin(0.01)
        assert 0 < deadline.remaining() <= 0.01
        with pytest.raises(OutOfTimeError, match="the part"):
            async with deadline.within("the part"):
                await asyncio.Event().wait()
        with pytest.raises(OutOfTimeError):
            async with deadline.within("the part"):
                await asyncio.Event().wait()
        deadline.begin(60)
        with pytest.raises(TimeoutError):
            async with deadline.within("the part"):
                raise TimeoutError

    asyncio.run(scenario())


def test_two_requests_have_each_their_own_time() -> None:
    """The tasks of one have its time, whatever the other has."""

    async def left(seconds: float) -> float:
        deadline.begin(seconds)
        return await asyncio.ensure_future(_remaining())

    async def scenario() -> None:
        short, long = await asyncio.gather(left(1), left(100))
        assert short <= 1
        assert 99 < long <= 100

    asyncio.run(scenario())


def test_what_is_shared_outlives_who_began_it() -> None:
    """Its own calls have all the time that a call has, so that nobody else's answer is cut off."""

    async def scenario() -> None:
        deadline.begin(0)
        assert await deadline.shared(_remaining()) == math.inf
        assert await _remaining() <= 0

    asyncio.run(scenario())


def test_the_end_of_a_request_leaves_time_to_write_it_down() -> None:
    """Within that alone, and nobody who has more gets less."""

    async def scenario() -> None:
        deadline.begin(0)
        with deadline.at_least(5):
            assert 4 < deadline.remaining() <= 5
        assert deadline.remaining() <= 0
        deadline.begin(60)
        with deadline.at_least(5):
            assert deadline.remaining() > 50

    asyncio.run(scenario())


async def _remaining() -> float:
    return deadline.remaining()
