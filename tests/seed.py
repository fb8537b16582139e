"""The seed of a random test: printed, and taken back from the environment."""

from __future__ import annotations

import os
import random


def new_seed() -> int:
    """A seed, or the one of ``CEDARFLEET_SEED``.

    Pytest shows what is printed where a test fails.
    """
    given = os.environ.get("CEDARFLEET_SEED")
    seed = int(given) if given else random.SystemRandom().randrange(2**32)
    print(f"CEDARFLEET_SEED={seed}")
    return seed
