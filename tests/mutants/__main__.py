"""``make mutants``: changes critical files in small ways and prints the changes that no test sees.

Each worker has a copy of the tree, so nothing of the checkout is touched, and a process that has
read what tests need and forks for each mutant (``prepared.py``), so that a mutant costs its tests
and little else. A row counts the mutants that were killed (of these, hung: by their time alone),
those alive, and those of the file that change nothing and are not tried (``EQUIVALENT``). Exit
code 0: at least 95 % of the mutants were killed; 1: fewer; 2: the tests of a file fail without any
change, or there is no such file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from tests.mutants.critical import CRITICAL, EQUIVALENT
from tests.mutants.mutations import Mutant, mutants, sample
from tests.mutants.prepared import HANGS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROOT: Final = Path(__file__).parents[2]
WANTED: Final = 0.95
MOST_SECONDS: Final = 240  # of a file's tests without any change
# A mutant that runs so many times longer than that may hang; it does when it is asked once more.
SUSPECT_AFTER: Final = 2
HANGS_AFTER: Final = 4


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one mutant.

    Attributes:
        code: exit code of its tests; `HANGS` if they did not end, twice.
    """

    file: str
    mutant: Mutant
    code: int

    @property
    def killed(self) -> bool:
        """Whether a test has seen it."""
        return self.code != 0

    @property
    def hung(self) -> bool:
        """Whether it was killed by its time alone."""
        return self.code == HANGS


class Copy:
    """A copy of the tree, and the process that runs its tests."""

    def __init__(self, root: Path, files: Sequence[str], seed: int) -> None:
        self._root = root
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
        # Compiled once for all mutants, and for the processes that tests start.
        environment = {
            **os.environ,
            "PYTHONPYCACHEPREFIX": str(root / ".compiled"),
            "CEDARFLEET_SEED": str(seed),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("prepared.py"))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._changed = itertools.count(int(time()) - 1_000_000)

    def read(self, file: str) -> str:
        """A file's text."""
        return (self._root / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Change a file, with a time of its own: compiled files are told apart by second."""
        path = self._root / file
        path.write_text(text, encoding="utf-8")
        at = next(self._changed)
        os.utime(path, (at, at))

    def run(self, tests: Sequence[str], seconds: float) -> int:
        """Exit code of pytest, or `HANGS` if it takes longer than ``seconds``."""
        with tempfile.TemporaryDirectory() as scratch:
            arguments = [
                "-x",
                "-q",
                "-n0",
                "-p",
                "no:cacheprovider",
                "--hypothesis-profile=unshrunk",
                f"--basetemp={scratch}/pytest",
            ]
            asked = {
                "root": str(self._root),
                "arguments": [*arguments, *tests],
                "seconds": seconds,
            }
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{json.dumps(asked)}\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Copies:
    """Copies of the tree, one for each run at a time."""

    def __init__(self, folder: Path, number: int, seed: int) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        files = [name for name in filter(None, listed.split("\0")) if (ROOT / name).is_file()]
        self._all = [Copy(folder / str(index), files, seed) for index in range(number)]
        self._free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in self._all:
            self._free.put(copy)

    @contextmanager
    def one(self) -> Generator[Copy]:
        """A copy that nobody else uses."""
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def close(self) -> None:
        """End their processes."""
        for copy in self._all:
            copy.close()


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
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Copies(Path(folder), given.workers, given.seed)) as copies,
        ThreadPoolExecutor(given.workers) as workers,
    ):
        print(
            f"{'file':<64}{'killed':>8}{'hung':>6}{'alive':>7}{'same':>6}{'seconds':>9}", flush=True
        )
        tried = list(workers.map(lambda file: _tried(copies, file, given.most, given.seed), files))
    return _report(files, tried)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "files", nargs="*", help="parts of names of critical files; default: all of them"
    )
    parser.add_argument("--most", type=int, default=12, help="mutants of a file (default: 12)")
    parser.add_argument(
        "--seed",
        type=int,
        default=int(os.environ.get("CEDARFLEET_SEED") or 1),
        help="which ones, and of the tests that run (default: 1)",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: one a core"
    )
    return parser


def _chosen(file: str, source: str, most: int, seed: int) -> list[Mutant]:
    known = EQUIVALENT.get(file, {})
    real = [one for one in mutants(source) if one.key not in known]
    return sample(real, most, f"{seed} {file}")


def _tried(copies: Copies, file: str, most: int, seed: int) -> list[Outcome] | None:
    """Each mutant of a file, and a line of the table; ``None`` if its tests fail without any."""
    began = monotonic()
    with copies.one() as copy:
        usual = _seconds(copy, file)
        if usual is None:
            print(f"{file:<64}  ITS TESTS FAIL", flush=True)
            return None
        outcomes = [
            _try(copy, file, mutant, usual) for mutant in _chosen(file, copy.read(file), most, seed)
        ]
    # One write, so that lines of several workers do not mix.
    odd = "".join(f"\n  {_place(one)}" for one in outcomes if one.hung or not one.killed)
    print(f"{_row(file, outcomes, _same(file))}{monotonic() - began:>9.0f}{odd}", flush=True)
    return outcomes


def _same(file: str) -> int:
    return len(EQUIVALENT.get(file, {}))


def _seconds(copy: Copy, file: str) -> float | None:
    """How long a file's tests take; ``None`` if they fail without any change."""
    began = monotonic()
    return monotonic() - began if copy.run(CRITICAL[file], MOST_SECONDS) == 0 else None


def _try(copy: Copy, file: str, mutant: Mutant, usual: float) -> Outcome:
    code = _changed(copy, file, mutant, SUSPECT_AFTER * usual + 5)
    if code == HANGS:
        # What else the machine does may have slowed it: compared with what it does now.
        now = _seconds(copy, file) or usual
        code = _changed(copy, file, mutant, HANGS_AFTER * max(now, usual) + 10)
    return Outcome(file=file, mutant=mutant, code=code)


def _changed(copy: Copy, file: str, mutant: Mutant, seconds: float) -> int:
    whole = copy.read(file)
    copy.write(file, mutant.source)
    try:
        return copy.run(CRITICAL[file], seconds)
    finally:
        copy.write(file, whole)


def _row(name: str, outcomes: Sequence[Outcome], same: int) -> str:
    killed, hung = sum(one.killed for one in outcomes), sum(one.hung for one in outcomes)
    return f"{name:<64}{killed:>8}{hung:>6}{len(outcomes) - killed:>7}{same:>6}"


def _place(outcome: Outcome) -> str:
    became = "hangs" if outcome.hung else "lives"
    return f"{became}: {outcome.file}:{outcome.mutant.line}: {outcome.mutant.key}"


def _report(files: Sequence[str], tried: Sequence[list[Outcome] | None]) -> int:
    outcomes = [one for of_file in tried for one in of_file or ()]
    killed = sum(one.killed for one in outcomes)
    print(_row(f"{len(files)} files", outcomes, sum(map(_same, files))))
    print(f"\n{killed} of {len(outcomes)} killed; these live:")
    for one in outcomes:
        if not one.killed:
            print(f"  {_place(one)}")
    broken = [file for file, of_file in zip(files, tried, strict=True) if of_file is None]
    if broken:
        sys.stderr.write(f"their tests fail without any change: {', '.join(broken)}\n")
        return 2
    return 0 if killed >= WANTED * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
