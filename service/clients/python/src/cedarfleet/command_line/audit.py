"""``audit list``: the tenant's trail."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import click

from cedarfleet.command_line.line import Line, with_line

if TYPE_CHECKING:
    from cedarfleet.generated.models import AuditEntryOut


@click.group()
def audit() -> None:
    """The tenant's audit trail: who did what by which policy."""


@audit.command("list")
@click.option("--since", help="RFC 3339; of the last seven days without it")
@click.option("--until", help="the same")
@click.option("--who", help="pseudonym, or a person's id")
@click.option("--action", help="e.g. StopDevice")
@click.option("--device", help="about this device")
@click.option("--decision", type=click.Choice(["ALLOW", "DENY"]), help="what was said")
@click.option("--most", type=click.IntRange(1), default=200, show_default=True, help="entries")
@with_line
def list_entries(line: Line, *, most: int, **filters: str | None) -> None:
    """List entries, the newest first; with --json as `policies diff --recorded` takes them."""
    with line.fleet() as fleet:
        found = itertools.islice(fleet.audit(limit=min(most, 100), **filters), most)
        line.show_rows(found, ("at", "who", "action", "on", "decision", "policies"), _cells)


def _cells(entry: AuditEntryOut) -> tuple[str, ...]:
    return (
        str(entry.at or ""),
        entry.principal or entry.who,
        entry.action or entry.kind,
        entry.resource or "",
        entry.decision or "",
        ", ".join(entry.policies),
    )


COMMANDS: Final = (audit,)
