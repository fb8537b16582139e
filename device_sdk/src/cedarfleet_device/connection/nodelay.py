"""Has small packets sent at once: Nagle's algorithm would hold a state back for the broker's delayed ACK, some 40 ms.

The runtime has no option for it, so the option is set on its socket from outside (Linux: ``/proc/self/fd``).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST_DESCRIPTORS: Final = (
    64  # beyond it this process simulates many devices, and looking would cost too much
)


def send_at_once(port: int) -> int:
    """Set TCP_NODELAY on this process's connections to ``port``; how many there were."""
    found = 0
    try:
        descriptors = list(Path("/proc/self/fd").iterdir())
    except OSError:  # not Linux: slower, not wrong
        return 0
    if len(descriptors) > _MOST_DESCRIPTORS:
        return 0
    for descriptor in descriptors:
        with suppress(OSError, ValueError):  # no socket, not connected, or closed meanwhile
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
            with socket.socket(
                fileno=os.dup(int(descriptor.name))
            ) as connection:  # a copy: closing it leaves the runtime's open
                peer = connection.getpeername()
                if (
                    connection.type == socket.SOCK_STREAM
                    and isinstance(peer, tuple)
                    and peer[1] == port
                ):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
