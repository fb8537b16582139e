"""A download in a process of its own, which a test may kill at any moment.

A fork server keeps the imports, so that a hundred real processes cost seconds. To be used from one
thread: two threads that wait for children of ``multiprocessing`` take each other's exit codes.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
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
# A child imports the main module of its parent.
_context.set_forkserver_preload([__name__, "pytest"])

# Audit events that stand for a change of a file, raised before it happens (docs: "Audit events
# table").
_FILE_CHANGES = frozenset(
    {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "os.chmod"}
)


@dataclass(frozen=True, kw_only=True)
class DownloadTask:
    """What the process is to do.

    Attributes:
        die_at_change: kill the process before its n-th change of a file, counted from 1; None:
            never.
        die_in_hook: kill the process inside the hook.
        fail_in_hook: raise inside the hook.
        file_size_limit: largest file in bytes that the process may write (RLIMIT_FSIZE).
        has_links: False stands for a file system without hard links.
    """

    document: DownloadDocument
    folder: Path
    state_dir: Path
    limits: DownloadLimits
    die_at_change: int | None = None
    die_in_hook: bool = False
    fail_in_hook: bool = False
    file_size_limit: int | None = None
    has_links: bool = True


def start(task: DownloadTask) -> ForkServerProcess:
    """Begin; the exit code is ``DELIVERED``, ``REFUSED`` or minus the signal that killed it."""
    process = _context.Process(target=_run, args=(task,), daemon=True)
    process.start()
    return process


def run(task: DownloadTask) -> int:
    """Begin and wait for the exit code."""
    process = start(task)
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


def _watch_changes(task: DownloadTask) -> None:
    """Die before the n-th change of a file, or refuse links, from here on."""
    changes = 0

    def watch(event: str, _arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event == "os.link" and not task.has_links:
            raise PermissionError(errno.EPERM, "no links here")
        if event in _FILE_CHANGES:
            changes += 1
            if changes == task.die_at_change:
                _die()

    sys.addaudithook(watch)


def _run(task: DownloadTask) -> NoReturn:
    def hook(_path: Path) -> None:
        if task.die_in_hook:
            _die()
        if task.fail_in_hook:
            raise RuntimeError("installation failed")

    downloader = Downloader(
        folder=task.folder, state_dir=task.state_dir, limits=task.limits, on_verified=hook
    )
    if task.file_size_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task.file_size_limit, task.file_size_limit))
    _watch_changes(task)
    try:
        downloader.fetch(task.document, refresh_url=lambda: task.document.url)
    except DownloadRefusedError:
        os._exit(REFUSED)
    os._exit(DELIVERED)
