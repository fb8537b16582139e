"""``grants list|give|revoke``: permissions for a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from cedarfleet.command_line.line import Line, with_line

if TYPE_CHECKING:
    from cedarfleet.generated.models import GrantOut

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_OUTPUT: Final = ("grant", "state", "what", "whose", "on", "until")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="print JSON, for scripts")
@click.pass_context
def grants(context: click.Context, *, as_json: bool) -> None:
    """List, give and revoke grants for a time; without a word more they are listed."""
    context.obj.as_json = as_json
    if context.invoked_subcommand is None:
        context.invoke(list_grants)


@grants.command("list")
@with_line
def list_grants(line: Line) -> None:
    """List the grants that were given by the API, those that are over too."""
    with line.fleet() as fleet:
        line.show_rows(fleet.grants(), _OUTPUT, _cells)


@grants.command("give")
@click.argument("template")
@click.argument("person")
@click.option("--device", help="on this device")
@click.option("--group", help="on this group")
@click.option("--until", help="RFC 3339, with its offset; or")
@click.option("--for", "span", metavar="SPAN", help="from now on: 90m, 2h, 3d")
@click.option("--reason", required=True, help="why; audited")
@click.option("--key", help="of idempotency: given twice with it, it is given once")
@with_line
def give(
    line: Line,
    *,
    template: str,
    person: str,
    device: str | None,
    group: str | None,
    until: str | None,
    span: str | None,
    reason: str,
    key: str | None,
) -> None:
    """Give PERSON (id or e-mail) what TEMPLATE says, on a device or group, for a time."""
    if (device is None) is (group is None):
        raise click.UsageError("say --device or --group")
    ends = _ends(until, span)
    with line.fleet() as fleet:
        given = fleet.give_grant(
            template,
            person,
            until=ends,
            reason=reason,
            device=device,
            group=group,
            idempotency_key=key,
        )
    line.show(given.to_dict(), lambda: f"{_said(given)} until {given.until}")


@grants.command("revoke")
@click.argument("grant")
@with_line
def revoke(line: Line, *, grant: str) -> None:
    """End GRANT now: changes are refused at once, reads within five seconds."""
    with line.fleet() as fleet:
        ended = fleet.revoke_grant(grant)
    line.show(ended.to_dict(), lambda: _said(ended))


def _ends(until: str | None, span: str | None) -> datetime:
    """When a grant ends.

    Raises:
        click.UsageError: not exactly one is given, or it is not of its form.
    """
    if (until is None) is (span is None):
        raise click.UsageError("say --until or --for")
    if span is not None:
        found = _SPAN.fullmatch(span)
        if found is None:
            raise click.BadParameter("e.g. 90m, 2h, 3d", param_hint="--for")
        return datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        ends = datetime.fromisoformat(str(until))
    except ValueError as error:
        raise click.BadParameter("e.g. 2026-12-01T18:00:00+01:00", param_hint="--until") from error
    # Fail closed: of a time without its offset nobody can say when it is.
    if ends.tzinfo is None:
        raise click.BadParameter("say its offset, e.g. +01:00 or Z", param_hint="--until")
    return ends


def _said(grant: GrantOut) -> str:
    on = grant.device or grant.group or ""
    return f"{grant.id} is {grant.state}: {grant.template} to {grant.email} on {on}"


def _cells(grant: GrantOut) -> tuple[str, ...]:
    on = grant.device or grant.group or ""
    return (grant.id, grant.state, grant.template, grant.email, on, str(grant.until or ""))


COMMANDS: Final = (grants,)
