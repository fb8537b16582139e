"""Twenty tenants at once stay within AWS's rates, and none of them takes what another needs."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import pytest
import structlog

from service.domain.rates import DEFAULT, Budget
from service.operations.budgets import LEASE_SECONDS
from tests.seed import new_seed
from tests.service.simulated_platform import SimulatedPlatform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.adapters.memory.authorizer import CedarAuthorizer

COMMANDS, POLLS = 15, 50  # a second and tenant: 300 and 1,000 of twenty
REQUESTS = DEFAULT[Budget.REQUESTS]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without the service's own line of each decision, of which there would be a million."""
    kept = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**kept)


def ran(platform: SimulatedPlatform, seconds: float, *, flood: int = 0) -> SimulatedPlatform:
    """The platform after so many seconds of this traffic."""

    async def all_of_it() -> None:
        await platform.begin()
        await platform.run(seconds, commands=COMMANDS, polls=POLLS, flood=flood)

    asyncio.run(all_of_it())
    return platform


def chance() -> random.Random:
    """A choice that can be made again."""
    return random.Random(new_seed())  # noqa: S311 - no secret is drawn


@pytest.mark.soak
def test_no_call_is_throttled_at_the_platforms_load(
    authorizer: CedarAuthorizer,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """300 commands and 1,000 polls a second over 20 tenants: each served, each call answered."""
    seconds = faults(3, 600)
    platform = ran(SimulatedPlatform(authorizer=authorizer, chance=chance()), seconds)
    record_property("faults", f"{seconds} simulated seconds, {platform.served.total()} requests")
    assert platform.throttled == {}
    assert platform.refused == {}
    expected = 20 * (seconds * (COMMANDS + POLLS) + 1)
    assert platform.served.total() == pytest.approx(expected, abs=20 * (COMMANDS + POLLS))
    assert platform.calls.total() > 4 * expected
    assert platform.ports.buckets.writes < 3 * seconds * 3 * (20 * 2 + 1)


def test_a_call_too_many_of_the_control_plane_is_seen(authorizer: CedarAuthorizer) -> None:
    """What 0.1.0 did for each command: 300 look-ups a second where AWS answers 100."""
    platform = SimulatedPlatform(
        authorizer=authorizer, chance=chance(), extra=("IoT ListThingGroupsForThing",)
    )
    assert ran(platform, 2).throttled.keys() == {"calls-of-ListThingGroupsForThing"}


def test_a_flood_reaches_no_other_tenant(authorizer: CedarAuthorizer) -> None:
    """At fifty times its budget one tenant gets its budget; the others get all they ask for."""
    seconds = 2
    platform = SimulatedPlatform(authorizer=authorizer, chance=chance(), tenants=5)
    ran(platform, seconds, flood=50 * REQUESTS.per_second)
    assert platform.throttled == {}
    assert platform.refused.keys() == {0}
    assert platform.refused[0] > 40 * REQUESTS.per_second * seconds
    most = REQUESTS.burst + REQUESTS.per_second * (seconds + LEASE_SECONDS)
    assert 0.8 * REQUESTS.per_second * seconds < platform.served[0] <= most + 1
    others = [platform.served[number] for number in range(1, 5)]
    assert min(others) >= seconds * (COMMANDS + POLLS) * 0.9
