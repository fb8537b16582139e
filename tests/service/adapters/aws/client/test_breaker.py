"""What fails is cut off for its tenant alone, and tried again by one call at a time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from service.adapters.aws.client.breaker import FAILURES, MOST_SECONDS, Breakers
from service.adapters.aws.client.failures import UnreadableAnswerError
from service.adapters.aws.client.lanes import Lanes
from service.errors import OverShareError, UnavailableError, UpstreamError
from service.settings import AwsSettings
from tests.seed import given_or_new
from tests.service.adapters.aws.client.clock import Seconds

STORE = "the policy store"
NO_ANSWER = UnavailableError(STORE)


def ask(breakers: Breakers, outcome: BaseException | None, owner: str = "acme") -> str:
    """Make one call; say what became of it: let through or cut off."""
    try:
        with breakers.call(owner, STORE):
            if outcome is not None:
                raise outcome  # noqa: TRY301 - as a call raises it
    except UnavailableError as error:
        return "through" if error is outcome else "cut off"
    except BaseException as error:  # noqa: BLE001 - cancellation too
        assert error is outcome  # noqa: PT017 - what was raised inside
    return "through"


def cut_off(clock: Seconds) -> Breakers:
    """Breakers of which acme's store is cut off."""
    seed = given_or_new()
    print(f"CEDARFLEET_SEED={seed}")
    breakers = Breakers(clock=clock, random=Random(seed))  # noqa: S311 - jitter
    for _ in range(FAILURES):
        assert ask(breakers, NO_ANSWER) == "through"
    assert breakers.open == [("acme", STORE)]
    return breakers


def test_failures_in_a_row_cut_off_one_tenants_dependency() -> None:
    """Nobody else's, and nothing else of it; callers hear when to come back."""
    clock = Seconds()
    breakers = cut_off(clock)
    with pytest.raises(UnavailableError) as refused:
        breakers.check("acme", STORE)
    assert 0.5 <= refused.value.wait_seconds <= 1
    assert ask(breakers, None) == "cut off"
    assert ask(breakers, None, "globex") == "through"
    breakers.check("acme", "the commands table")


@pytest.mark.parametrize("error", [UpstreamError("refused"), None, ValueError()])
def test_an_answer_between_failures_counts_them_anew(error: Exception | None) -> None:
    """A refusal too is an answer: the dependency works."""
    breakers = Breakers(clock=Seconds())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            assert ask(breakers, TimeoutError()) == "through"
        assert ask(breakers, error) == "through"
    assert breakers.open == []


def test_answers_that_nobody_can_read_cut_off() -> None:
    """Garbage in a row is a dependency that does not work, as silence is."""
    breakers = Breakers(clock=Seconds())
    for _ in range(FAILURES):
        assert ask(breakers, UnreadableAnswerError("GetItem", "no JSON")) == "through"
    assert breakers.open == [("acme", STORE)]


def test_throttling_and_leaving_cut_off_nothing() -> None:
    """One says that the dependency works, the other says nothing."""
    breakers = Breakers(clock=Seconds())
    for _ in range(3 * FAILURES):
        ask(breakers, UnavailableError(STORE, is_throttled=True))
        ask(breakers, asyncio.CancelledError())
    assert breakers.open == []


def test_one_probe_at_a_time_decides_and_the_pause_grows() -> None:
    """Its failure doubles the pause up to the longest, its success lets everybody through."""
    clock = Seconds()
    breakers = cut_off(clock)
    pauses: list[float] = []
    for _ in range(8):
        with pytest.raises(UnavailableError) as refused:
            breakers.check("acme", STORE)
        pauses.append(refused.value.wait_seconds)
        clock.at += refused.value.wait_seconds
        probe = breakers.call("acme", STORE)
        assert ask(breakers, None) == "cut off"
        probe.__exit__(TimeoutError, TimeoutError(), None)
    for pause, least in zip(pauses, (1, 2, 4, 8, 10, 10, 10, 10), strict=True):
        assert least / 2 <= pause <= least <= MOST_SECONDS
    assert len(set(pauses)) > 4
    clock.at += MOST_SECONDS
    assert ask(breakers, None) == "through"
    assert breakers.open == []
    assert ask(breakers, NO_ANSWER) == "through"


def test_a_probe_that_leaves_lets_the_next_call_be_one() -> None:
    """Else a client that hangs up would keep the dependency cut off for good."""
    clock = Seconds()
    breakers = cut_off(clock)
    clock.at += MOST_SECONDS
    assert ask(breakers, asyncio.CancelledError()) == "through"
    assert ask(breakers, None) == "through"
    assert breakers.open == []


def test_what_began_before_the_cut_changes_nothing_of_it() -> None:
    """Neither its late answer nor its late failure, which would push the probe away."""
    clock = Seconds()
    breakers = Breakers(clock=clock)
    late = [breakers.call("acme", STORE) for _ in range(3)]
    for _ in range(FAILURES):
        ask(breakers, NO_ANSWER)
    late[0].__exit__(None, None, None)
    clock.at += MOST_SECONDS - 0.1
    late[1].__exit__(TimeoutError, TimeoutError(), None)
    late[2].__exit__(asyncio.CancelledError, asyncio.CancelledError(), None)
    assert breakers.open == [("acme", STORE)]
    assert ask(breakers, None) == "through"
    assert breakers.open == []


def test_a_late_call_that_leaves_makes_no_second_probe() -> None:
    """The probe is on its way: whoever began before the cut and hangs up says nothing of it."""
    clock = Seconds()
    breakers = Breakers(clock=clock)
    late = breakers.call("acme", STORE)
    for _ in range(FAILURES):
        ask(breakers, NO_ANSWER)
    clock.at += MOST_SECONDS
    probe = breakers.call("acme", STORE)
    late.__exit__(asyncio.CancelledError, asyncio.CancelledError(), None)
    assert ask(breakers, None) == "cut off"
    probe.__exit__(None, None, None)
    assert breakers.open == []


def test_who_is_cut_off_takes_no_place() -> None:
    """Neither a turn in a full share, nor the place that frees while it waits for it."""

    async def scenario() -> None:
        settings = AwsSettings(region="eu-central-1", tenant_calls=1, tenant_waiting=1)
        lanes = Lanes(settings, clock=Seconds())
        held = lanes.tenant("acme", STORE)
        await held.__aenter__()
        waiting = asyncio.ensure_future(lanes.tenant("acme", STORE).__aenter__())
        await asyncio.sleep(0)
        assert (lanes.open, lanes.waiting) == (1, 1)
        for _ in range(FAILURES):
            with pytest.raises(TimeoutError), lanes._breakers.call("acme", STORE):
                raise TimeoutError
        with pytest.raises(UnavailableError) as refused:
            await lanes.tenant("acme", STORE).__aenter__()
        assert type(refused.value) is UnavailableError, "not that its share is used up"
        await held.__aexit__(None, None, None)
        with pytest.raises(UnavailableError, match="policy store is not available"):
            await waiting
        assert (lanes.open, lanes.waiting) == (0, 0)

    asyncio.run(scenario())


def test_lanes_hold_a_share_and_cut_off_what_fails() -> None:
    """A tenant over its share is told so, one cut off waits for nothing; shared ones go on."""

    async def scenario() -> None:
        clock = Seconds()
        settings = AwsSettings(
            region="eu-central-1", calls_at_once=4, tenant_calls=1, tenant_waiting=0, own_calls=1
        )
        lanes = Lanes(settings, clock=clock)
        async with lanes.tenant("acme", STORE):
            assert (lanes.open, lanes.waiting) == (1, 0)
            with pytest.raises(OverShareError):
                await lanes.tenant("acme", STORE).__aenter__()
            async with lanes.tenant("globex", STORE), lanes.own("the tenant registry"):
                pass
        for _ in range(FAILURES):
            with pytest.raises(TimeoutError):
                async with lanes.tenant("acme", STORE):
                    raise TimeoutError
        with pytest.raises(UnavailableError, match="policy store is not available"):
            await lanes.tenant("acme", STORE).__aenter__()
        assert lanes.cut_off == [("acme", STORE)]

    asyncio.run(scenario())


def test_too_many_for_a_shared_dependency_is_no_tenants_fault() -> None:
    """It is unavailable then, and each shared dependency has room of its own."""

    async def scenario() -> None:
        lanes = Lanes(AwsSettings(region="eu-central-1", own_calls=1), clock=Seconds())

        async def hold(gate: asyncio.Event) -> None:
            async with lanes.own("the tenant registry"):
                await gate.wait()

        gate = asyncio.Event()
        held = [asyncio.ensure_future(hold(gate)) for _ in range(9)]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as refused:
            await lanes.own("the tenant registry").__aenter__()
        assert type(refused.value) is UnavailableError
        async with lanes.own("the work queue"):
            gate.set()
        await asyncio.gather(*held)

    asyncio.run(scenario())
