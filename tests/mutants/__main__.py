"""``make mutants``: changes critical files in small ways and prints the changes that no test sees.

Each worker has a copy of the tree, so nothing of the checkout is touched. Exit code 0: at least
95 % of the mutants were killed; 1: fewer; 2: the tests of a file fail without any change, or there
is no such file.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from tests.mutants.critical import CRITICAL, EQUIVALENT
from tests.mutants.mutations import Mutant, mutants, sample

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROOT: Final = Path(__file__).parents[2]
WANTED: Final = 0.95
MOST_SECONDS: Final = 240  # of a file's tests without any change
# A mutant that runs so many times longer than that hangs, and is killed by that.
HANGS_AFTER: Final = 4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one mutant."""

    file: str
    mutant: Mutant
    killed: bool
    seconds: float


class Copies:
    """Copies of the tree, one for each run at a time."""

    def __init__(self, folder: Path, number: int) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        self.seconds: dict[str, float] = {}  # that a file's tests take without any change
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for index in range(number):
            root = folder / str(index)
            for name in filter(None, listed.split("\0")):
                if (ROOT / name).is_file():
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, root / name)
            self._free.put(root)

    @contextmanager
    def one(self) -> Generator[Path]:
        """A copy that nobody else uses."""
        root = self._free.get()
        try:
            yield root
        finally:
            self._free.put(root)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that the arguments ask for and print the table."""
    given = _parser().parse_args(arguments)
    files = [
        file for file in CRITICAL if not given.files or any(part in file for part in given.files)
    ]
    if not files:
        sys.stderr.write(f"no critical file is named like {', '.join(given.files)}\n")
        return 2
    print(f"seed {given.seed}, at most {given.most} mutants a file")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.workers) as workers:
        copies = Copies(Path(folder), given.workers)
        broken = [
            file
            for file, ok in zip(
                files, workers.map(lambda f: _passes(copies, f), files), strict=True
            )
            if not ok
        ]
        if broken:
            sys.stderr.write(f"their tests fail without any change: {', '.join(broken)}\n")
            return 2
        asked = [
            (file, mutant) for file in files for mutant in _chosen(file, given.most, given.seed)
        ]
        progress = _Progress(len(asked))
        outcomes = list(workers.map(lambda one: progress.told(_try(copies, *one)), asked))
    return _report(files, outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "files", nargs="*", help="parts of names of critical files; default: all of them"
    )
    parser.add_argument("--most", type=int, default=12, help="mutants of a file (default: 12)")
    parser.add_argument(
        "--seed", default=os.environ.get("CEDARFLEET_SEED", "1"), help="which ones (default: 1)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: one a core"
    )
    return parser


def _chosen(file: str, most: int, seed: str) -> list[Mutant]:
    known = EQUIVALENT.get(file, {})
    real = [
        one for one in mutants((ROOT / file).read_text(encoding="utf-8")) if one.key not in known
    ]
    return sample(real, most, f"{seed} {file}")


def _passes(copies: Copies, file: str) -> bool:
    began = monotonic()
    with copies.one() as root:
        passes = _run(root, file, MOST_SECONDS) == 0
    copies.seconds[file] = monotonic() - began
    return passes


def _try(copies: Copies, file: str, mutant: Mutant) -> Outcome:
    began = monotonic()
    with copies.one() as root:
        path = root / file
        whole = path.read_text(encoding="utf-8")
        path.write_text(mutant.source, encoding="utf-8")
        try:
            killed = _run(root, file, HANGS_AFTER * copies.seconds[file] + 10) != 0
        finally:
            path.write_text(whole, encoding="utf-8")
    return Outcome(file=file, mutant=mutant, killed=killed, seconds=monotonic() - began)


def _run(root: Path, file: str, seconds: float) -> int:
    """Exit code of the file's tests in a copy; 124 when they hang."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        *CRITICAL[file],
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(root), str(root / "device_sdk/src")]
        ),  # before the checkout's own
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(
            [*command, f"--basetemp={scratch}/pytest"],
            cwd=root,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # the session that it leads: its own children too
            return 124


class _Progress:
    """Tells how far the run is, a line for each survivor and for each twentieth mutant."""

    def __init__(self, whole: int) -> None:
        self._whole, self._done, self._lock = whole, 0, threading.Lock()

    def told(self, outcome: Outcome) -> Outcome:
        """Count one, and pass it on."""
        with self._lock:
            self._done += 1
            if not outcome.killed:
                print(
                    f"{outcome.file}:{outcome.mutant.line}: lives: {outcome.mutant.key}", flush=True
                )
            if self._done % 20 == 0 or self._done == self._whole:
                print(f"{self._done} of {self._whole}", flush=True)
        return outcome


def _report(files: Sequence[str], outcomes: Sequence[Outcome]) -> int:
    print(f"\n{'file':<64}{'mutants':>8}{'killed':>8}{'seconds':>9}")
    for file in files:
        own = [one for one in outcomes if one.file == file]
        killed, seconds = sum(one.killed for one in own), sum(one.seconds for one in own)
        print(f"{file:<64}{len(own):>8}{killed:>8}{seconds:>9.0f}")
    killed = sum(one.killed for one in outcomes)
    print(f"\n{killed} of {len(outcomes)} killed ({killed / len(outcomes):.1%}); these live:")
    for one in outcomes:
        if not one.killed:
            print(f"  {one.file}:{one.mutant.line}: {one.mutant.key}")
    return 0 if killed >= WANTED * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
