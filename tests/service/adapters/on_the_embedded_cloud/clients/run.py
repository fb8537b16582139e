"""``cedarfleet`` in a process that has imported it already, as a start takes longer than a command.

Each run is forked from a server that has imported the command line: its variables, streams and
exit code are its own. That the installed script starts is seen where `PROGRAM` is.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cedarfleet.command_line import main

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def run(
    words: tuple[str, ...], environment: Mapping[str, str], *, seconds: float
) -> subprocess.CompletedProcess[str]:
    """``cedarfleet`` with these words, to its end.

    Raises:
        subprocess.TimeoutExpired: it has not ended in time, and is killed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = _FORKS.Process(target=_run, args=(words, dict(environment), folder))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, seconds)
        out, told = ((folder / stream).read_text() for stream in ("out", "told"))
        return subprocess.CompletedProcess(words, process.exitcode, out, told)


def _run(words: tuple[str, ...], environment: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, opened in enumerate((os.devnull, folder / "out", folder / "told")):
        file = os.open(opened, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, stream)
    main(words)
