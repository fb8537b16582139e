"""How often a program that stamps stacks looks for garbage."""

from __future__ import annotations

import atexit
import gc
from typing import Final

# The Pulumi program makes some 365,000 objects that live as long as the process. By the default
# each 70,000 new ones have all of them searched for garbage again: a third of the CPU of `up`.
_COLLECTED_AFTER: Final = (50_000, 20, 50)


def seldom() -> None:
    """Search seldom from now on, and not at all at the end of the process.

    At its end everything is stopped and written. The interpreter would go over all objects once
    more, to free them one by one; frozen ones it leaves to the system.
    """
    gc.set_threshold(*_COLLECTED_AFTER)
    atexit.register(gc.freeze)
