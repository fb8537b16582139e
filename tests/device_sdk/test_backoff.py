"""Pauses between tries."""

from __future__ import annotations

import random

import pytest
from cedarfleet_device.backoff import Backoff

from tests.seed import new_seed


@pytest.mark.parametrize("jitter", [(0.0, 1.0), (0.5, 1.0), (1.0, 1.5)])
def test_pauses_double_to_the_bound_and_begin_anew(jitter: tuple[float, float]):
    """Each pause is drawn from its part of a bound that doubles up to the longest, until reset."""
    chance = random.Random(new_seed())  # noqa: S311 - pauses
    backoff = Backoff(1.0, 5.0, jitter=jitter, chance=chance)
    for bound in (1.0, 2.0, 4.0, 5.0, 5.0):
        assert jitter[0] * bound <= backoff.next_pause() <= jitter[1] * bound
    backoff.reset()
    assert backoff.next_pause() <= jitter[1] * 1.0


def test_a_first_pause_is_never_above_the_longest():
    """A bound that begins above the longest is the longest."""
    backoff = Backoff(10.0, 2.0, jitter=(1.0, 1.0))
    assert [backoff.next_pause() for _ in range(2)] == [2.0, 2.0]
    backoff.reset()
    assert backoff.next_pause() == 2.0
