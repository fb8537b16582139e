"""``campaign begin|watch|cancel|list|devices``: one command for many devices."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.campaigns import has_succeeded
from cedarfleet.command_line.devices import json_object
from cedarfleet.command_line.line import FAILED, Line, with_line

if TYPE_CHECKING:
    from cedarfleet.generated.models import CampaignDeviceOut, CampaignOut

_DEVICES: Final = ("device", "state", "command", "policies", "why")


@click.group()
def campaign() -> None:
    """Send one command to many devices, each decided by the policies when its turn comes."""


@campaign.command("begin")
@click.argument("command")
@click.argument("arguments", default="{}", metavar="[ARGUMENTS]")
@click.option("--group", help="to the devices of this group")
@click.option("--device", multiple=True, help="to these devices")
@click.option("--tag", multiple=True, help="to devices with this tag: NAME:VALUE, or NAME")
@click.option("--runs", multiple=True, metavar="PACKAGE:VERSION", help="to those that run it")
@click.option("--connected/--not-connected", default=None, help="to those that are, or are not")
@click.option("--timeout", type=int, help="no start on its device after this many seconds")
@click.option("--window", type=int, help="sent to no further device after this many seconds")
@click.option("--if-offline", type=click.Choice(["queue", "refuse"]), help="of one that is away")
@click.option("--reason", help="why, where the command needs it")
@click.option("--emergency", metavar="REASON", help="declare an emergency; audited")
@click.option("--key", help="of idempotency: begun twice with it, it is begun once")
@click.option("--wait", is_flag=True, help="as `campaign watch`")
@click.option("--patience", type=float, default=3600.0, show_default=True, help="seconds of --wait")
@with_line
def begin(
    line: Line,
    *,
    command: str,
    arguments: str,
    tag: tuple[str, ...],
    runs: tuple[str, ...],
    connected: bool | None,
    key: str | None,
    wait: bool,
    patience: float,
    **given: Any,
) -> int | None:
    """Send COMMAND to a group, to devices by name, or to all that tags, versions and more find."""
    shape = _shape(arguments, tag, runs, connected, given)
    with line.fleet() as fleet:
        begun = fleet.begin_campaign(command, idempotency_key=key, **shape)
    if wait:
        return _watched(line, begun.id, patience)
    line.show(begun.to_dict(), lambda: f"campaign {begun.id} is {begun.state}")
    return None


def _shape(
    arguments: str,
    tag: tuple[str, ...],
    runs: tuple[str, ...],
    connected: bool | None,
    given: dict[str, Any],
) -> dict[str, Any]:
    """The body of a campaign; a group beside a filter is one of the filter's members.

    Raises:
        click.UsageError: nobody is named, or in two ways.
    """
    wanted: dict[str, Any] = {}
    wanted |= {"tag": list(tag)} if tag else {}
    wanted |= {"version": list(runs)} if runs else {}
    wanted |= {} if connected is None else {"connected": connected}
    devices, group = list(given["device"]), given["group"]
    if bool(devices) is (bool(wanted) or group is not None):
        raise click.UsageError("say --device, or --group, --tag, --runs, --connected")
    if wanted and group is not None:
        wanted, group = wanted | {"group": group}, None
    return {
        "group": group,
        "devices": devices or None,
        "filter": wanted or None,
        "arguments": json_object(arguments),
        "timeout_seconds": given["timeout"],
        "window_seconds": given["window"],
        "if_offline": given["if_offline"],
        "reason": given["reason"],
        "emergency": None if given["emergency"] is None else {"reason": given["emergency"]},
    }


@campaign.command("watch")
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--patience", type=float, default=3600.0, show_default=True, help="seconds")
@with_line
def watch(line: Line, *, campaign_id: str, patience: float) -> int | None:
    """Wait until CAMPAIGN is over; exit 1 unless each of its devices did it."""
    return _watched(line, campaign_id, patience)


@campaign.command("cancel")
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--emergency", metavar="REASON", help="declare an emergency; audited")
@with_line
def cancel(line: Line, *, campaign_id: str, emergency: str | None) -> None:
    """Have no more of CAMPAIGN sent, and what has not begun on its device taken back."""
    with line.fleet() as fleet:
        asked = fleet.cancel_campaign(campaign_id, emergency=emergency)
    line.show(asked.to_dict(), lambda: f"campaign {asked.id} is {asked.state}")


@campaign.command("list")
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help="campaigns")
@with_line
def list_campaigns(line: Line, *, most: int) -> None:
    """List campaigns of the last 90 days, the newest first."""
    with line.fleet() as fleet:
        found = itertools.islice(fleet.campaigns(limit=min(most, 100)), most)
        line.show_rows(found, ("campaign", "command", "state", "devices", "by state"), _cells)


@campaign.command("devices")
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--state", "in_state", help="only those in this state: `denied`")
@with_line
def list_devices(line: Line, *, campaign_id: str, in_state: str | None) -> None:
    """List what became of each device of CAMPAIGN, and which policy denied it."""
    with line.fleet() as fleet:
        found = fleet.campaign_devices(campaign_id, in_state=in_state)
        line.show_rows(found, _DEVICES, _device_cells)


def _watched(line: Line, campaign_id: str, patience: float) -> int | None:
    with line.fleet() as fleet, line.told.status(f"campaign {campaign_id}") as status:
        ended = fleet.wait_for_campaign(
            campaign_id, seconds=patience, looks=lambda seen: status.update(_said(seen))
        )
    line.show(ended.to_dict(), lambda: _said(ended))
    return None if has_succeeded(ended) else FAILED


def _said(found: CampaignOut) -> str:
    why = f" ({found.why})" if found.why else ""
    return f"campaign {found.id} {found.state}{why}: {_counts(found) or 'nobody yet'}"


def _counts(found: CampaignOut) -> str:
    return ", ".join(f"{count} {state}" for state, count in found.counts.to_dict().items() if count)


def _cells(found: CampaignOut) -> tuple[str, ...]:
    return (found.id, found.name, found.state, str(found.devices), _counts(found))


def _device_cells(one: CampaignDeviceOut) -> tuple[str, ...]:
    why = one.explanation or ""
    return (one.device, one.state, one.command or "", ", ".join(one.policies), why)


COMMANDS: Final = (campaign,)
