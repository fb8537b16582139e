"""``audit list|export|verify``: the tenant's trail."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.command_line.line import DONE, FAILED, Line, with_line
from cedarfleet.errors import CedarfleetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cedarfleet.generated.models import AuditEntryOut

_BEGINS: Final = '{"body":{"first":'  # the first line of an export, in its one spelling


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


@audit.command("export")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="link")
@with_line
def export(line: Line, *, file: Path, first: int) -> None:
    """Write the trail with its chain into FILE; `audit verify` checks it, on any machine."""
    with line.fleet() as fleet, file.open("wb") as out:
        for content in fleet.audit_exports(first=first):
            out.write(content)


@audit.command("verify")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--key", multiple=True, help="fingerprint of the key that signs, noted elsewhere")
@click.option("--head", multiple=True, metavar="NUMBER:HASH", help="a link, noted earlier")
@with_line
def verify(
    line: Line, *, files: tuple[Path, ...], key: tuple[str, ...], head: tuple[str, ...]
) -> int:
    """Check exports that follow one another; exit 1 if anything was changed or taken out."""
    try:
        from cedarfleet.audit_verification import (  # noqa: PLC0415 - a part of its own to install
            TamperedError,
            Trail,
        )
    except ImportError as error:
        raise CedarfleetError("install it with its part: pip install cedarfleet[audit]") from error
    noted = {int(number): hashed for number, _, hashed in (one.partition(":") for one in head)}
    trail = Trail(keys=frozenset(key), heads=noted)
    try:
        for content in _exports(files):
            trail.read(content)
        trail.finish()
    except TamperedError as error:
        problem = str(error)
        line.show({"verified": False, "problem": problem}, lambda: f"NOT VERIFIED: {problem}")
        return FAILED
    found = {
        "verified": True,
        "tenant": trail.tenant,
        "entries": trail.entries,
        "unsigned": trail.unsigned,
        "head": f"{trail.last}:{trail.head}",
        "keys": sorted(trail.signers),
        "key_known": bool(key),
    }
    line.show(found, lambda: _verified(found))
    return DONE


def _exports(files: Iterable[Path]) -> Iterator[list[str]]:
    """Each export of the files: one file may hold several, as `audit export` writes them."""
    for file in files:
        export: list[str] = []
        for text in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if text.startswith(_BEGINS) and export:
                yield export
                export = []
            export.append(text)
        yield export


def _verified(found: Mapping[str, Any]) -> str:
    lines = [
        f"verified: {found['entries']} entries of {found['tenant']}, head {found['head']}",
        *(f"signed by {key}" for key in found["keys"]),
    ]
    if not found["key_known"]:
        lines.append("any key was taken: give --key, noted elsewhere, to know who signed")
    if found["unsigned"]:
        lines.append(f"{found['unsigned']} entries behind the last signature are not signed yet")
    return "\n".join(lines)


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
