"""``mcp``: tools for an agent that acts for the person who signed it in."""

from __future__ import annotations

from typing import Final

import anyio
import click

from cedarfleet.async_client import AsyncFleet
from cedarfleet.command_line.line import Line, with_line
from cedarfleet.errors import CedarfleetError, SignInError
from cedarfleet.session_file import keep, kept
from cedarfleet.sign_in import Bearer


@click.command()
@click.option("--changes", is_flag=True, help="also tools that plan a change, and apply that plan")
@with_line
def mcp(line: Line, *, changes: bool) -> None:
    """Serve tools to an agent on standard input and output (MCP): reading ones, by default.

    Sign in before: `cedarfleet login --agent`. The tenant's policies see that an agent asks.
    """
    try:
        from cedarfleet.mcp_server import server  # noqa: PLC0415 - a part of its own to install
    except ImportError as error:
        raise CedarfleetError("install it with its part: pip install cedarfleet[mcp]") from error
    # Fail closed: the agent has a session of its own, and none else: by any other its calls would
    # be the person's own.
    session = kept(line.agent_file)
    if session is None:
        raise SignInError("no agent is signed in: `cedarfleet login --agent`")

    async def serve() -> None:
        bearer = Bearer(session, keep=lambda found: keep(found, line.agent_file))
        async with AsyncFleet(session.api, bearer) as fleet:
            await server(fleet, changes=changes).run_stdio_async()

    anyio.run(serve)


COMMANDS: Final = (mcp,)
