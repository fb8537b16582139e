"""Many who ask share one question and its outcome, and a failure is not asked for again at once."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field

import pytest

from service.errors import UnavailableError, UpstreamError
from service.single_flight import SingleFlight


@dataclass
class Part:
    """Answers when the test opens the gate, with what the test says then."""

    outcome: str | UpstreamError = "answer"
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    now: float = 0.0

    async def __call__(self) -> str:
        """The question."""
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.outcome, UpstreamError):
            raise self.outcome
        return self.outcome


def flights(part: Part) -> SingleFlight[str, str]:
    """Questions that are not put again for two seconds after a failure."""
    return SingleFlight(pause_seconds=2, clock=lambda: part.now)


def test_all_who_ask_at_once_share_one_answer() -> None:
    """Whoever leaves cancels nobody's, and the next question is a new one."""

    async def scenario() -> None:
        part = Part()
        single = flights(part)
        asking = [asyncio.ensure_future(single.ask("a", part)) for _ in range(50)]
        await asyncio.sleep(0)
        asking[0].cancel()
        other = asyncio.ensure_future(single.ask("b", part))
        for _ in range(3):
            await asyncio.sleep(0)
        assert (part.asked, len(single), "a" in single) == (2, 2, True)
        part.gate.set()
        assert await asyncio.gather(*asking[1:], other) == ["answer"] * 50
        assert await single.ask("a", part) == "answer"
        assert (part.asked, len(single)) == (3, 0)

    asyncio.run(scenario())


def test_a_failure_is_shared_and_counts_from_its_end() -> None:
    """However long it took: nobody asks one behind the other, and after the pause one does."""

    async def scenario() -> None:
        part = Part(outcome=UnavailableError("the part"))
        single = flights(part)
        asking = [asyncio.ensure_future(single.ask("a", part)) for _ in range(40)]
        for _ in range(3):
            await asyncio.sleep(0)
        part.now = 100  # the question took so long
        part.gate.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert answers == [part.outcome] * 40
        assert part.asked == 1
        part.now = 101.9
        with pytest.raises(UnavailableError):
            await single.ask("a", part)
        assert (part.asked, single.failure("a")) == (1, part.outcome)
        part.now, part.outcome = 102, "answer"
        assert await single.ask("a", part) == "answer"

    asyncio.run(scenario())


def test_a_fault_of_ours_is_told_and_not_remembered() -> None:
    """It is nobody's outage: whoever asks next sees whether it is still there."""

    async def scenario() -> None:
        async def broken() -> str:
            raise ValueError("ours")

        single = flights(Part())
        for _ in range(2):
            with pytest.raises(ValueError, match="ours"):
                await single.ask("a", broken)
            assert single.failure("a") is None

    asyncio.run(scenario())


def test_a_question_that_nobody_waits_for_fails_in_silence() -> None:
    """As one that refreshes what is still good: its failure is found by who asks next."""

    async def scenario() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        part = Part(outcome=UnavailableError("the part"))
        single = flights(part)
        task = single.begin("a", part)
        part.gate.set()
        await asyncio.wait({task})
        del task
        gc.collect()  # of a failure that nobody has seen the loop would complain now
        assert told == []
        assert single.failure("a") is part.outcome
        with pytest.raises(UnavailableError):
            single.begin("a", part)

    asyncio.run(scenario())
