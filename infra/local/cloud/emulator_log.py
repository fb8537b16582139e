"""Sends the emulator's warnings to a file in the state directory instead of the terminal.

A device that is killed is no news there.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# asyncio says so of a connection that ends together with its handshake. The emulator's broker takes
# connections by `start_tls`; its stream, not yet told that it is over TLS, would keep the other
# direction open (asyncio/streams.py).
_END_OF_A_DEVICE: Final = "returning true from eof_received() has no effect when using ssl"


@contextmanager
def logged_to(file: Path) -> Generator[None]:
    """Send what the emulator's loaded modules log to ``file`` alone, until the context ends.

    So with the one thing that asyncio says of a device that is gone; all else that asyncio logs
    stays where it was. The file is begun anew by each run.
    """
    handler = logging.FileHandler(file, mode="w", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "ministack"
    ]
    loggers = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, logging.Logger)
    }
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)

    def elsewhere(record: logging.LogRecord) -> bool:
        if record.msg != _END_OF_A_DEVICE:
            return True
        handler.handle(record)
        return False

    asyncio_logger = logging.getLogger("asyncio")
    asyncio_logger.addFilter(elsewhere)
    try:
        yield
    finally:
        asyncio_logger.removeFilter(elsewhere)
        for logger in loggers:
            logger.propagate = True
            logger.removeHandler(handler)
        handler.close()
