"""`make demo`: the product's main job once, step by step, on a fresh embedded cloud.

Exit code 0 only if every step truly happened; otherwise logs and state are kept, and it says where.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from infra.local.cloud import EmbeddedCloud
from infra.local.demo.preparation import DemoRun
from infra.local.demo.report import Report, StepError
from infra.local.demo.steps import STEPS
from infra.local.processes import run
from infra.local.setup import Setup


def main() -> int:
    """Take every step; on failure say which one failed, and where the logs are."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the console")
    given = parser.parse_args()
    report = Report()
    began = time.perf_counter()
    state_dir = Path(tempfile.mkdtemp(prefix="cedarfleet-demo-"))
    try:
        _take_steps(report, state_dir, given.pictures)
    except KeyboardInterrupt:
        shutil.rmtree(state_dir, ignore_errors=True)
        report.console.print("stopped; nothing of it is left")
        return 130
    except Exception as error:  # noqa: BLE001 - the boundary: the exit code says that it failed
        kind = "" if isinstance(error, StepError) else f"{type(error).__name__}: "
        report.console.print(
            f"[red]The demo failed[/] at `{report.steps[-1].title}`: {kind}", end=""
        )
        report.console.print(str(error), markup=False)
        report.console.print(f"Logs and state are kept in {state_dir}", markup=False)
        return 1
    report.console.print(
        f"All {len(report.steps)} steps happened, in {time.perf_counter() - began:.1f} s."
    )
    shutil.rmtree(state_dir)
    return 0


def _take_steps(report: Report, state_dir: Path, pictures: Path | None) -> None:
    """Set everything up, take each step, and end whatever was started."""
    with ExitStack() as everything:
        with report.step("start the embedded cloud") as step:
            cloud = everything.enter_context(EmbeddedCloud(state_dir / "cloud"))
            step.check(
                cloud.endpoint_url,
                f"{cloud.endpoint_url}, on loopback only; no production cloud",
            )
            step.checks.append(cloud.limits.words)
        run = DemoRun(
            setup=Setup(cloud=cloud, state_dir=state_dir),
            report=report,
            processes=everything.enter_context(ExitStack()),
            pictures=pictures,
        )
        run.set_up()
        for each in STEPS:
            each(run)


if __name__ == "__main__":
    run(main)
