"""The seed of a random test: printed, and taken back from the environment."""

from __future__ import annotations

import os
import random


def given_or_new() -> int:
    """The seed of ``CEDARFLEET_SEED``, or one that nobody used before."""
    given = os.environ.get("CEDARFLEET_SEED")
    return int(given) if given else random.SystemRandom().randrange(2**32)


def new_seed() -> int:
    """A seed, or the one of ``CEDARFLEET_SEED``.

    Pytest shows what is printed where a test fails.
    """
    seed = given_or_new()
    print(f"CEDARFLEET_SEED={seed}")
    return seed
