"""A file on a server, and a client process that fetches it: what the download benchmarks share."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A file on a server.

    Attributes:
        url: where; the path is ``/<bucket>/<key>`` for boto3's sake.
        size: bytes.
        sha256: its digest.
        etag: as the server has it, with quotes.
        ca_file: for TLS.
    """

    url: str
    size: int
    sha256: str
    etag: str
    ca_file: Path | None = None


@contextmanager
def in_memory() -> Generator[Path]:
    """A folder in memory where there is one, so that no disk is measured."""
    shared = Path("/dev/shm")  # noqa: S108 - made private by TemporaryDirectory
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def empty(home: Path) -> Generator[Path]:
    """A folder for one download."""
    with TemporaryDirectory(dir=home) as folder:
        yield Path(folder)


def touch_memory(folder: Path, size: int) -> None:
    """Write and remove ``size`` bytes, so that no client pays for a virtual machine's first memory.

    Measured: the first GiB written to such memory takes four times as long as the next one.
    """
    path, block = folder / "touched", bytes(1024 * 1024)
    with path.open("wb", buffering=0) as file:
        for _ in range(0, size, len(block)):
            file.write(block)
    path.unlink()


def command(client: str, subject: Subject, folder: Path, *more: str) -> list[str]:
    """The command of a client process that fetches ``subject`` into ``folder``."""
    return [
        *(sys.executable, "-m", "tests.benchmarks.download_clients", client),
        *("--url", subject.url, "--folder", str(folder), "--size", str(subject.size)),
        *("--sha256", subject.sha256, "--etag", subject.etag),
        *(("--ca-file", str(subject.ca_file)) if subject.ca_file is not None else ()),
        *more,
    ]


def measure(client: str, subject: Subject, home: Path, *more: str) -> dict[str, float]:
    """Fetch once in a process of its own: ``seconds``, ``cpu`` seconds and ``peak_rss`` bytes."""
    with empty(home) as folder:
        touch_memory(folder, subject.size)
        # A session of its own: where the kernel groups tasks by session, more threads get no larger
        # share of the cores.
        done = subprocess.run(
            command(client, subject, folder, *more),
            check=True,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        shutil.rmtree(folder / "state", ignore_errors=True)
        return json.loads(done.stdout)
