"""``events``: what happens, as it happens, a line each."""

from __future__ import annotations

import json
import os
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cedarfleet.command_line.line import Line, with_line
from cedarfleet.events import FOREVER, untold

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet.events import Event

_BEGINNING: Final = "0-0"  # the cursor before all that is kept


@click.command()
@click.option("--noun", multiple=True, help="device, command, delivery; decision, download, grant")
@click.option("--device", multiple=True, help="of these devices")
@click.option("--type", "kinds", multiple=True, metavar="TYPE", help="command.state, command.*")
@click.option("--after", metavar="CURSOR", help="of the last event that is known")
@click.option("--all", "whole", is_flag=True, help="that is kept, the oldest first")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="of the cursor: the next run goes on behind this one",
)
@click.option("--seconds", type=click.FloatRange(0), help="then end; 0: with what there is")
@click.option("--most", type=click.IntRange(1), help="end after so many events")
@click.option("--patience", type=float, default=300.0, show_default=True, help="without a line, s")
@with_line
def events(
    line: Line,
    *,
    noun: tuple[str, ...],
    device: tuple[str, ...],
    kinds: tuple[str, ...],
    after: str | None,
    whole: bool,
    keep: Path | None,
    seconds: float | None,
    most: int | None,
    patience: float,
) -> None:
    """Follow what happens; with --json a line of JSON each, whose `cursor` is for --after.

    A connection that is lost is made again, and nothing is missed or told twice.
    """
    if (after is not None) + whole > 1:
        raise click.UsageError("say --after or --all")
    known = keep.read_text().strip() if keep is not None and keep.exists() else ""
    kept = _keeper(keep) if keep is not None else untold
    nouns = noun or tuple({kind.partition(".")[0] for kind in kinds} - {"*"})
    shown = 0
    with line.fleet() as fleet:
        for event in fleet.events(
            nouns=nouns,
            after=after or known or (_BEGINNING if whole else None),
            seconds=FOREVER if seconds is None else seconds,
            patience=patience,
            keep=kept,
            tell=lambda words: line.told.print(words, markup=False),
        ):
            if (device and event.device not in device) or not _is_of(event, kinds):
                continue
            _show(line, event)
            shown += 1
            if shown == most:
                kept(event.cursor)
                return


def _is_of(event: Event, kinds: tuple[str, ...]) -> bool:
    return not kinds or any(fnmatchcase(event.type, kind) for kind in kinds)


def _show(line: Line, event: Event) -> None:
    if line.as_json:
        sys.stdout.write(json.dumps(event.to_dict(), ensure_ascii=False) + "\n")
    else:
        told = " ".join(f"{name}={value}" for name, value in event.data.items() if value)
        words = f"{event.timestamp}  {event.type:<22} {event.device or '-':<16} {told}"
        line.out.print(words, markup=False)
    # Before its cursor is kept: what was not told to the end is told again.
    sys.stdout.flush()


def _keeper(file: Path) -> Callable[[str], None]:
    def keep(cursor: str) -> None:
        fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
        fresh.write_text(f"{cursor}\n")
        fresh.replace(file)

    return keep


COMMANDS: Final = (events,)
