"""``devices`` and ``send``."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.command_line.line import FAILED, Line, with_line

if TYPE_CHECKING:
    from cedarfleet.generated.models import Accepted, CommandOut, DeviceOut

_SUCCEEDED: Final = "succeeded"


@click.command()
@click.option("--group", help="in this group")
@click.option("--tag", multiple=True, help="with this tag: NAME=VALUE")
@click.option("--text", help="in whose id or facts it stands")
@click.option("--connected/--not-connected", default=None, help="or not")
@click.option("--most", type=click.IntRange(1), default=200, show_default=True, help="devices")
@with_line
def devices(
    line: Line,
    *,
    group: str | None,
    tag: tuple[str, ...],
    text: str | None,
    connected: bool | None,
    most: int,
) -> None:
    """List the devices that you may view."""
    filters: dict[str, Any] = {
        "group": group,
        "tag": list(tag) or None,
        "text": text,
        "connected": connected,
        "limit": min(most, 100),
    }
    with line.fleet() as fleet:
        found = itertools.islice(fleet.devices(**filters), most)
        line.show_rows(found, ("device", "connected", "groups", "facts"), _cells)


def _cells(device: DeviceOut) -> tuple[str, ...]:
    facts = device.attributes.to_dict()
    return (
        device.id,
        _connected(device),
        ", ".join(device.groups),
        ", ".join(f"{name}={value}" for name, value in sorted(facts.items())),
    )


def _connected(device: DeviceOut) -> str:
    if device.connectivity is None:
        return "?"
    return "yes" if device.connectivity.connected else "no"


@click.command()
@click.argument("device")
@click.argument("command")
@click.argument("arguments", default="{}", metavar="[ARGUMENTS]")
@click.option("--timeout", type=int, help="no start after this many seconds")
@click.option("--reason", help="why, where the command needs it")
@click.option("--emergency", metavar="REASON", help="declare an emergency; audited")
@click.option("--key", help="of idempotency: sent twice with it, it is sent once")
@click.option("--wait", is_flag=True, help="until the device is done; then exit 1 if it failed")
@click.option("--patience", type=float, default=120.0, show_default=True, help="seconds of --wait")
@with_line
def send(
    line: Line,
    *,
    device: str,
    command: str,
    arguments: str,
    timeout: int | None,
    reason: str | None,
    emergency: str | None,
    key: str | None,
    wait: bool,
    patience: float,
) -> int | None:
    """Send a command; ARGUMENTS are a JSON object."""
    with line.fleet() as fleet:
        sent = fleet.send(
            device,
            command,
            arguments=json_object(arguments),
            timeout_seconds=timeout,
            reason=reason,
            emergency=emergency,
            idempotency_key=key,
        )
        if not wait:
            line.show(sent.to_dict(), lambda: _accepted(sent))
            return None
        with line.told.status(f"{command} on {device}: {sent.id}"):
            ended = fleet.wait_for_command(sent.id, seconds=patience)
    line.show(ended.to_dict(), lambda: _ended(ended))
    return None if ended.state == _SUCCEEDED else FAILED


def json_object(text: str) -> dict[str, Any]:
    """A JSON object that somebody typed.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"no JSON: {error}", param_hint="ARGUMENTS") from error
    if not isinstance(found, dict):
        raise click.BadParameter("no JSON object", param_hint="ARGUMENTS")
    return {str(name): value for name, value in found.items()}  # pyright: ignore[reportUnknownArgumentType]


def _accepted(sent: Accepted) -> str:
    return f"{sent.id} is {sent.state}"


def _ended(command: CommandOut) -> str:
    detail = command.detail.to_dict()
    said = f": {json.dumps(detail, ensure_ascii=False)}" if detail else ""
    return f"{command.name} on {command.device} {command.state}{said}"


COMMANDS: Final = (devices, send)
