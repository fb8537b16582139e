"""Become another program that does not outlive the one that started it: `leash.py PARENT_PID PROGRAM [ARGUMENT ...]`.

After a `kill -9` of `make up` its devices and its service would go on alone and keep their files locked. Linux sends
SIGKILL when the parent is gone (prctl(2), PR_SET_PDEATHSIG; it survives execve), which both are made to survive. Other
systems have no such thing: there the program just starts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Hold on to the parent, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it went before we could ask
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - that is what it is for; no shell


if __name__ == "__main__":
    main()
