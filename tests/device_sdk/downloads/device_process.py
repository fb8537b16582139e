"""A download in a process of its own, which a test may kill at any moment.

A fork server keeps the imports, so that a hundred real processes cost seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cedarfleet_device.downloads import Downloader, DownloadLimits, DownloadRefusedError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from cedarfleet_device.wire import DownloadDocument

DELIVERED, REFUSED = 0, 3

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])

# Audit events that stand for a change of a file, raised before it happens (docs: "Audit events table").
_FILE_CHANGES = frozenset({"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "os.chmod"})


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What the process is to do.

    Attributes:
        die_at_change: kill the process before its n-th change of a file, counted from 1; None: never.
        die_in_hook: kill the process inside the hook.
        fail_in_hook: raise inside the hook.
    """

    document: DownloadDocument
    folder: Path
    state_dir: Path
    limits: DownloadLimits
    die_at_change: int | None = None
    die_in_hook: bool = False
    fail_in_hook: bool = False


def start(errand: Errand) -> ForkServerProcess:
    """Begin; the exit code is ``DELIVERED``, ``REFUSED`` or minus the signal that killed it."""
    process = _context.Process(target=_run, args=(errand,), daemon=True)
    process.start()
    return process


def run(errand: Errand) -> int:
    """Begin and wait for the exit code."""
    process = start(errand)
    process.join(60)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
        raise TimeoutError("the download did not end in a minute")
    process.close()
    return code


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _run(errand: Errand) -> NoReturn:
    changes = 0

    def count(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event in _FILE_CHANGES:
            changes += 1
            if changes == errand.die_at_change:
                _die()

    def hook(_path: Path) -> None:
        if errand.die_in_hook:
            _die()
        if errand.fail_in_hook:
            raise RuntimeError("installation failed")

    downloader = Downloader(folder=errand.folder, state_dir=errand.state_dir, limits=errand.limits, on_verified=hook)
    if errand.die_at_change is not None:
        sys.addaudithook(count)
    try:
        downloader.fetch(errand.document, refresh_url=lambda: errand.document.url)
    except DownloadRefusedError:
        os._exit(REFUSED)
    os._exit(DELIVERED)
