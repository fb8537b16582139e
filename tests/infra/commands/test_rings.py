"""A run over many stacks: the canary first, so many at once, a stop, and where it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from infra.commands import run_report
from infra.commands.rings import Limits, RingRun, planned
from infra.commands.run_report import ReportError, RunReport
from infra.commands.stack_run import DRIFTED, Outcome, Places, run

if TYPE_CHECKING:
    from pathlib import Path

STACKS = [f"tenant-{number:02}" for number in range(20)]


@dataclass
class Stamped:
    """Stands in for the children: what each stack is to answer, and what was asked."""

    codes: dict[str, int] = field(default_factory=dict[str, int])
    asked: list[str] = field(default_factory=list[str])
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    together: threading.Barrier | None = None

    def __call__(self, stack: str) -> Outcome:
        """One stack; all but the canary meet there, if they are to."""
        with self.lock:
            self.asked.append(stack)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        if self.together is not None and stack != self.asked[0]:
            self.together.wait(timeout=30)
        with self.lock:
            self.at_once -= 1
        return Outcome(code=self.codes.get(stack, 0), seconds=0.1, said=(f"{stack} said",))


def report(canary: str | None = None) -> RunReport:
    """All stacks wait."""
    return planned(
        "up", STACKS, canary=canary, engine="nobody", began_at="2026-01-01T00:00:00Z", logs="logs"
    )


def finished(
    plan: RunReport, file: Path, once: Stamped, *, parallel: int = 4, failures: int = 0
) -> bool:
    """Whether a run came to the end of all."""
    limits = Limits(parallel=parallel, failures=failures)
    return RingRun(plan, file, once=once, limits=limits, tell=lambda *_: None).run()


def test_the_canary_goes_alone_and_the_rest_bounded(tmp_path: Path) -> None:
    """Nothing begins beside the canary; then so many are at work at once, and no more."""
    once = Stamped(together=threading.Barrier(3))
    plan = planned(
        "up", STACKS[:10], canary="tenant-07", engine="nobody", began_at="now", logs="logs"
    )
    assert finished(plan, tmp_path / "report.json", once, parallel=3)
    assert once.asked[0] == "tenant-07"
    assert sorted(once.asked) == STACKS[:10]
    assert once.most_at_once == 3
    kept = run_report.read(tmp_path / "report.json")
    assert kept == plan
    assert {stack.state for stack in kept.stacks.values()} == {"done"}


def test_a_canary_that_fails_stops_all(tmp_path: Path) -> None:
    """However many failures are allowed, the canary's is one too many."""
    once = Stamped({"tenant-00": 1})
    plan = report()
    assert not finished(plan, tmp_path / "report.json", once, failures=5)
    assert once.asked == ["tenant-00"]
    assert (plan.count("failed"), plan.count("waiting")) == (1, 19)


def test_no_stack_begins_beyond_the_failures_allowed(tmp_path: Path) -> None:
    """Two of twenty fail where one may: what was not begun waits, and is named."""
    once = Stamped({"tenant-03": 1, "tenant-05": -9})
    plan = report()
    assert not finished(plan, tmp_path / "report.json", once, parallel=1, failures=1)
    assert once.asked == STACKS[:6]
    assert plan.stacks["tenant-05"].said == ["tenant-05 said"]
    assert (plan.count("failed"), plan.count("waiting")) == (2, 14)

    mended = Stamped()
    again = run_report.read(tmp_path / "report.json")
    assert finished(again, tmp_path / "report.json", mended, parallel=1)
    assert mended.asked == ["tenant-03", *STACKS[5:]]


def test_drift_is_a_finding_and_no_failure(tmp_path: Path) -> None:
    """A stack that drifted stops nobody."""
    plan = report()
    assert finished(plan, tmp_path / "report.json", Stamped({"tenant-00": DRIFTED}))
    assert (plan.count("drifted"), plan.count("done")) == (1, 19)


def test_a_stop_lets_what_is_under_way_end(tmp_path: Path) -> None:
    """After Ctrl-C nothing begins; what has begun is done and said to be."""
    plan, file = report(), tmp_path / "report.json"
    told: list[tuple[str, bool]] = []

    def tell(stack: str, outcome: Outcome | None) -> None:
        told.append((stack, outcome is not None))
        if stack == "tenant-04":
            going.stop()

    going = RingRun(plan, file, once=Stamped(), limits=Limits(parallel=1, failures=0), tell=tell)
    assert not going.run()
    assert told[-1] == ("tenant-04", True)
    assert (plan.count("done"), plan.count("waiting")) == (5, 15)


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    """A file that is not there, or of another form: its name and why."""
    with pytest.raises(ReportError, match=r"none\.json: No such file"):
        run_report.read(tmp_path / "none.json")
    (tmp_path / "other.json").write_text(json.dumps({"verb": "up"}))
    with pytest.raises(ReportError, match=r"other\.json: is no report of a run: .*engine"):
        run_report.read(tmp_path / "other.json")


@dataclass(frozen=True, kw_only=True)
class ScriptedEngine:
    """Runs a line of Python in place of a stamping."""

    script: str
    name: str = "a script"

    def command(self, verb: str, stack: str) -> list[str]:
        """The script, with verb and stack as its arguments."""
        return [sys.executable, "-IS", "-c", self.script, verb, stack]

    def cloud(self) -> None:
        """It stamps nothing."""


# A runner that waits for its child, which tells by a file that it began and ends when told to.
RUNNER = """
import sys
from pathlib import Path
from infra.commands.stack_run import Places, run
from tests.infra.commands.test_rings import ScriptedEngine
folder = Path(sys.argv[1])
places = Places(root=folder, logs=folder, locks=folder)
run(ScriptedEngine(script=sys.argv[2]), "up", "acme", places=places, log=folder / "first.log")
"""


def test_a_run_waits_for_the_child_of_a_killed_one(tmp_path: Path) -> None:
    """A run that is killed leaves its stamping alone to its end; the next begins after that."""
    child = f"""
import os
os.kill(os.getppid(), 9)
print(open({str(tmp_path / "told")!r}).readline())
open({str(tmp_path / "order")!r}, 'a').write('first ')
"""
    subprocess.run(["mkfifo", str(tmp_path / "told")], check=True)
    killed = subprocess.run(
        [sys.executable, "-c", RUNNER, str(tmp_path), child],
        check=False,
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -9, killed.stderr
    order = str(tmp_path / "order")
    second = ScriptedEngine(
        script=f"import sys; open({order!r}, 'a').write('second'); print(sys.argv)"
    )
    places = Places(root=tmp_path, logs=tmp_path, locks=tmp_path)
    outcomes: list[Outcome] = []
    waiting = threading.Thread(
        target=lambda: outcomes.append(
            run(second, "up", "acme", places=places, log=tmp_path / "second.log")
        )
    )
    waiting.start()
    with (tmp_path / "told").open("w") as told:
        told.write("end\n")
    waiting.join(timeout=30)
    assert (tmp_path / "order").read_text() == "first second"
    assert outcomes[0].went_well
    assert "'up', 'acme'" in outcomes[0].said[0]


def test_what_a_child_says_is_kept(tmp_path: Path) -> None:
    """All of it in the log, its end in the outcome; a child that dies is a failure."""
    places = Places(root=tmp_path, logs=tmp_path, locks=tmp_path / "locks")
    script = "import os; [print(n, flush=True) for n in range(9)]; os.kill(os.getpid(), 9)"
    outcome = run(
        ScriptedEngine(script=script), "up", "acme", places=places, log=tmp_path / "acme.log"
    )
    assert (outcome.code, outcome.said, outcome.went_well) == (-9, ("6", "7", "8"), False)
    assert len((tmp_path / "acme.log").read_text().splitlines()) == 9
