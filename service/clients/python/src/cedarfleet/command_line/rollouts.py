"""``upload`` and ``rollout plan|apply|watch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from cedarfleet.command_line.line import FAILED, Line, with_line
from cedarfleet.upload_journal import journal_folder
from cedarfleet.uploading import Package

if TYPE_CHECKING:
    from cedarfleet.generated.models import DownloadOut, PlanOut

_SUCCEEDED: Final = "succeeded"


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("name")
@click.option("--package", nargs=2, metavar="NAME VERSION", help="what it is a build of")
@click.option("--patience", type=float, default=600.0, show_default=True, help="to be verified, s")
@click.option("--anew", is_flag=True, help="send all of it, also what has arrived before")
@with_line
def upload(
    line: Line,
    *,
    path: Path,
    name: str,
    package: tuple[str, str] | None,
    patience: float,
    anew: bool,
) -> None:
    """Upload a version of the file NAME, and wait until it can be delivered.

    One that was cut off goes on: parts that have arrived are not sent again.
    """
    of = None if package is None else Package(name=package[0], version=package[1])
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with (
        line.fleet() as fleet,
        Progress(*columns, TransferSpeedColumn(), console=line.told, transient=True) as bar,
    ):
        task = bar.add_task(name, total=None)
        file = fleet.upload(
            path,
            name,
            package=of,
            seconds=patience,
            progress=lambda sent, size: bar.update(task, completed=sent, total=size),
            journals=None if anew else journal_folder(line.environment),
        )
    line.show(file.to_dict(), lambda: f"{file.name} is {file.state}: {file.id}, {file.size} bytes")


@click.group()
def rollout() -> None:
    """Deliver a file to many devices: plan it, apply the plan, watch it."""


@rollout.command("plan")
@click.argument("artifact")
@click.option("--device", help="to one device")
@click.option("--group", help="to a group")
@click.option("--wave", multiple=True, help="the first waves: `5` devices, or `10%`")
@click.option("--pause-minutes", type=int, help="between two waves")
@click.option("--abort-percent", type=int, help="of the ended devices that failed")
@click.option("--window", help="in which jobs are made, `22:00-04:00`")
@click.option("--emergency", metavar="REASON", help="declare an emergency; audited")
@with_line
def plan_rollout(
    line: Line,
    *,
    artifact: str,
    wave: tuple[str, ...],
    emergency: str | None,
    **shape: Any,
) -> None:
    """Say what ARTIFACT would do to each device; nothing is done."""
    waves = [
        {"percent": int(one[:-1])} if one.endswith("%") else {"devices": int(one)} for one in wave
    ]
    shape["emergency"] = None if emergency is None else {"reason": emergency}
    with line.fleet() as fleet:
        plan = fleet.plan(artifact=artifact, waves=waves or None, **shape)
    line.show(plan.to_dict(), lambda: _planned(plan))


def _planned(plan: PlanOut) -> Table:
    made = Table(
        title=f"plan {plan.id}: {plan.artifact} for {plan.reach.targets} devices",
        title_justify="left",
        box=None,
        caption=f"cedarfleet rollout apply {plan.id}"
        + ("   (waits for a second person's approval)" if plan.needs_approval else ""),
        caption_justify="left",
    )
    for column in ("device", "verdict", "policies", "why"):
        made.add_column(column, overflow="fold")
    for device in plan.devices:
        made.add_row(device.device, device.verdict, ", ".join(device.policies), device.reason or "")
    if plan.hidden:
        made.add_row(f"({plan.hidden} that you may not view)", "denied", "", "")
    return made


@rollout.command("apply")
@click.argument("plan")
@click.option("--wait", is_flag=True, help="until it has ended; then exit 1 unless it succeeded")
@click.option("--patience", type=float, default=3600.0, show_default=True, help="seconds of --wait")
@with_line
def apply_plan(line: Line, *, plan: str, wait: bool, patience: float) -> int | None:
    """Start exactly PLAN, or be told that it is stale."""
    with line.fleet() as fleet:
        started = fleet.apply(plan)
        if not wait:
            line.show(started.to_dict(), lambda: f"rollout {started.id} is {started.state}")
            return None
    return _watched(line, started.id, patience)


@rollout.command("watch")
@click.argument("rollout_id", metavar="ROLLOUT")
@click.option("--patience", type=float, default=3600.0, show_default=True, help="seconds")
@with_line
def watch(line: Line, *, rollout_id: str, patience: float) -> int | None:
    """Wait until ROLLOUT has ended; exit 1 unless it succeeded."""
    return _watched(line, rollout_id, patience)


def _watched(line: Line, rollout_id: str, patience: float) -> int | None:
    with line.fleet() as fleet, line.told.status(f"rollout {rollout_id}"):
        ended = fleet.wait_for_rollout(rollout_id, seconds=patience)
    line.show(ended.to_dict(), lambda: _ended(ended))
    return None if ended.state == _SUCCEEDED else FAILED


def _ended(download: DownloadOut) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in download.counts.to_dict().items())
    return f"rollout {download.id} {download.state}: {counts}"


COMMANDS: Final = (upload, rollout)
