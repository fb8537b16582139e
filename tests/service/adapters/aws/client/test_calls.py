"""Blocking calls beside the event loop: bounded in number and time, with errors in our words."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from service.adapters.aws.client.calls import AwsCalls
from service.errors import UnavailableError
from service.settings import AwsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def calls() -> Iterator[AwsCalls]:
    """One thread, and room for one that waits."""
    made = AwsCalls(
        AwsSettings(region="eu-central-1", threads=1, max_waiting=1, deadline_seconds=0.2)
    )
    yield made
    made.close()


def test_a_broken_line_is_an_outage(calls: AwsCalls) -> None:
    """Whatever the system says of it stays in the log."""

    def fail() -> None:
        raise ConnectionResetError("secret")

    with pytest.raises(UnavailableError) as caught:
        asyncio.run(calls.run("the part", fail))
    assert "secret" not in str(caught.value)


def test_too_many_and_too_slow_calls_are_refused(calls: AwsCalls) -> None:
    """One runs, one waits, the third is refused; both end at the deadline; a busy thread counts."""
    release = threading.Event()

    async def scenario() -> None:
        slow = [asyncio.ensure_future(calls.run("slow", release.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await calls.run("third", lambda: 1)
        assert not any(call.done() for call in slow), "it was refused before any deadline"
        answers = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(answer) for answer in answers} == {UnavailableError}
        assert calls._open == 1
        release.set()
        while calls._open:  # noqa: ASYNC110 - the threads end by themselves, and tell nobody
            await asyncio.sleep(0)
        assert await calls.run("again", lambda: 1) == 1

    asyncio.run(scenario())


def test_after_the_end_no_call_begins(calls: AwsCalls) -> None:
    """One that runs ends by itself; one that waits never begins, and a later one is refused."""
    release = threading.Event()
    begun: list[str] = []

    async def scenario() -> None:
        running = asyncio.ensure_future(calls.run("running", release.wait, 10))
        waiting = asyncio.ensure_future(calls.run("waiting", begun.append, "waiting"))
        await asyncio.sleep(0)
        calls.close()
        release.set()
        ended, cancelled = await asyncio.gather(running, waiting, return_exceptions=True)
        assert ended is True
        assert isinstance(cancelled, asyncio.CancelledError)
        with pytest.raises(RuntimeError, match="after shutdown"):
            await calls.run("late", begun.append, "late")

    asyncio.run(scenario())
    assert begun == []
