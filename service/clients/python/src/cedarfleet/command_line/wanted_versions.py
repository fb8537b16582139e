"""``versions`` and ``wanted list|set|show|end``: which versions run, and which are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.command_line.line import Line, with_line

if TYPE_CHECKING:
    from cedarfleet.generated.models import RunningOut, VersionCountOut, WantedVersionOut


@click.command()
@click.argument("package", required=False)
@click.option("--version", help="of the package: only the devices that run this one")
@with_line
def versions(line: Line, *, package: str | None, version: str | None) -> None:
    """Count the versions that devices run; of PACKAGE list who runs which."""
    if package is None and version is not None:
        raise click.UsageError("--version is one of a package: name it")
    with line.fleet() as fleet:
        if package is None:
            line.show_rows(fleet.versions(), ("package", "version", "devices"), _counted)
        else:
            found = fleet.running(package, version=version)
            line.show_rows(found, ("device", "version", "since"), _running)


@click.group()
def wanted() -> None:
    """Say which version of a package the devices of a group are to come to."""


@wanted.command("list")
@click.argument("group")
@with_line
def list_wanted(line: Line, *, group: str) -> None:
    """List what GROUP itself wants."""
    columns = ("package", "version", "state", "devices an hour", "window", "why")
    with line.fleet() as fleet:
        line.show_rows(fleet.wanted(group), columns, _wanted)


@wanted.command("set")
@click.argument("group")
@click.argument("package")
@click.argument("file")
@click.option("--devices-per-hour", type=click.IntRange(1), help="at most so many begin")
@click.option("--window", help="in which devices begin, `22:00-04:00`")
@click.option("--utc-offset", help="of the window's clock, `+01:00`")
@click.option("--abort-percent", type=click.IntRange(1, 100), help="of the ended that failed")
@with_line
def set_wanted(line: Line, *, group: str, package: str, file: str, **pace: Any) -> None:
    """Have GROUP come to the version of PACKAGE that the uploaded FILE (its id) brings.

    Devices that join or come back later too; each is decided for you when its turn comes.
    """
    with line.fleet() as fleet:
        wish = fleet.want(group, package, file, **pace)
    line.show(wish.to_dict(), lambda: _said(wish))


@wanted.command("show")
@click.argument("group")
@click.argument("package")
@with_line
def show_wanted(line: Line, *, group: str, package: str) -> None:
    """Say how many devices of GROUP have come to what it wants of PACKAGE."""
    with line.fleet() as fleet:
        found = fleet.wanted_progress(group, package)
    counts = ", ".join(f"{count} {where}" for where, count in found.counts.to_dict().items())
    line.show(found.to_dict(), lambda: f"{_said(found.wanted)}: {counts or 'no device'}")


@wanted.command("end")
@click.argument("group")
@click.argument("package")
@with_line
def end_wanted(line: Line, *, group: str, package: str) -> None:
    """Have GROUP want nothing of PACKAGE any more; devices that have begun go on."""
    with line.fleet() as fleet:
        ended = fleet.want_no_more(group, package)
    line.show(ended.to_dict(), lambda: f"{group} wants nothing of {package} any more")


def _said(wish: WantedVersionOut) -> str:
    why = f" ({wish.why})" if wish.why else ""
    return f"{wish.group} wants {wish.package} {wish.version}, {wish.state}{why}"


def _counted(one: VersionCountOut) -> tuple[str, ...]:
    return (one.package, one.version, str(one.devices))


def _running(one: RunningOut) -> tuple[str, ...]:
    return (one.device, one.version, str(one.since or ""))


def _wanted(wish: WantedVersionOut) -> tuple[str, ...]:
    window = f"{wish.window} {wish.utc_offset}" if wish.window else ""
    pace = str(wish.devices_per_hour)
    return (wish.package, wish.version, wish.state, pace, window, wish.why or "")


COMMANDS: Final = (versions, wanted)
