"""The emulator's warnings go to a file in the state directory: a device that is killed is no news on the terminal."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def logged_to(file: Path) -> Generator[None]:
    """Send what the emulator's loaded modules log to ``file``, and nowhere else, until the context ends.

    The file is begun anew by each run.
    """
    handler = logging.FileHandler(file, mode="w", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "ministack"]
    loggers = {value for module in modules for value in vars(module).values() if isinstance(value, logging.Logger)}
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.propagate = True
            logger.removeHandler(handler)
        handler.close()
