"""`make demo`: the whole story once, on a fresh embedded cloud; exit code 0 only if every step truly happened."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from infra.local.cloud import EmbeddedCloud
from infra.local.demo.preparation import Stage
from infra.local.demo.report import Report, StepError
from infra.local.demo.steps import ACTS
from infra.local.setup import Landscape


def main() -> int:
    """Tell the story; on failure say which step, and where the logs are."""
    report = Report()
    began = time.perf_counter()
    state_dir = Path(tempfile.mkdtemp(prefix="cedarfleet-demo-"))
    with ExitStack() as everything:
        try:
            with report.step("start the embedded cloud") as step:
                cloud = everything.enter_context(EmbeddedCloud(state_dir / "cloud"))
                step.check(
                    cloud.endpoint_url,
                    f"{cloud.endpoint_url}, on loopback only; no production cloud",
                )
            stage = Stage(
                landscape=Landscape(cloud=cloud, state_dir=state_dir),
                report=report,
                processes=everything.enter_context(ExitStack()),
            )
            stage.set_up()
            for act in ACTS:
                act(stage)
        except KeyboardInterrupt:
            report.console.print("stopped")
            return 130
        except Exception as error:  # noqa: BLE001 - the boundary: whatever failed is told, and the exit code says so
            report.console.print(report.table())
            kind = "" if isinstance(error, StepError) else f"{type(error).__name__}: "
            report.console.print(
                f"[red]The demo failed[/] at `{report.steps[-1].title}`: {kind}", end=""
            )
            report.console.print(str(error), markup=False)
            report.console.print(f"Logs and state are kept in {state_dir}", markup=False)
            return 1
    report.console.print(report.table())
    report.console.print(
        f"All {len(report.steps)} steps happened, in {time.perf_counter() - began:.1f} s."
    )
    shutil.rmtree(state_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
