"""``login``, ``logout``, ``whoami``."""

from __future__ import annotations

import os
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import click

from cedarfleet.command_line.line import Line, with_line
from cedarfleet.errors import SignInError
from cedarfleet.session_file import keep
from cedarfleet.sign_in import Attempt, SignInPage, checked_url, machine, sign_in_page

CALLBACK: Final = "http://localhost:8976/callback"
AGENT_CALLBACK: Final = "http://localhost:8977/callback"
SECRET: Final = "CEDARFLEET_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_PATIENCE_SECONDS: Final = 300
_RETURNED: Final = (
    b"<!doctype html><html lang=en><title>Cedarfleet</title>"
    b"<p>You may close this window and go on in the terminal."
)


@click.command()
@click.option("--api", required=True, envvar="CEDARFLEET_API", help="URL of the API")
@click.option("--tenant", envvar="CEDARFLEET_TENANT", help="whose sign-in page the API tells")
@click.option("--sign-in", envvar="CEDARFLEET_SIGN_IN", help="its URL, instead of --tenant")
@click.option("--client-id", envvar="CEDARFLEET_CLIENT_ID", help="the app client; a machine's own")
@click.option("--callback", help=f"one of the app client's; {CALLBACK}, of agents 8977")
@click.option("--machine", "is_machine", is_flag=True, help=f"by a secret: {SECRET}, or asked for")
@click.option("--agent", is_flag=True, help="let an agent act for you: see `cedarfleet mcp`")
@click.option("--no-browser", is_flag=True, help="print the address instead of opening it")
@with_line
def login(
    line: Line,
    *,
    api: str,
    tenant: str | None,
    sign_in: str | None,
    client_id: str | None,
    callback: str | None,
    is_machine: bool,
    agent: bool,
    no_browser: bool,
) -> None:
    """Sign in: a person in the browser, a machine by its secret.

    The tokens are kept in a file that this user alone can read; a machine's secret is not.
    """
    if agent and is_machine:
        raise click.UsageError("an agent acts for a person: leave --machine out")
    api = checked_url(api)
    page = _page(api, tenant, sign_in)
    sign_in, client_id = page.sign_in, client_id or (page.agent if agent else page.command_line)
    if client_id is None or (is_machine and client_id == page.command_line):
        raise click.UsageError("say --client-id: the tenant's sign-in page tells none for this")
    if is_machine:
        secret = line.environment.get(SECRET) or click.prompt("Secret", hide_input=True, err=True)
        session = machine(api=api, sign_in=sign_in, client_id=client_id, secret=secret)
    else:
        callback = callback or (AGENT_CALLBACK if agent else CALLBACK)
        attempt = Attempt(api=api, sign_in=sign_in, client_id=client_id, callback=callback)
        with _Listener(callback) as listener:
            line.told.print(f"Sign in at {attempt.url}", soft_wrap=True, markup=False)
            if not no_browser:
                webbrowser.open(attempt.url)
            returned = listener.returned()
        session = attempt.session(attempt.code(returned))
    file = line.agent_file if agent else line.file
    keep(session, file)
    line.told.print(f"signed in; kept in {file}", soft_wrap=True, markup=False)


def _page(api: str, tenant: str | None, sign_in: str | None) -> SignInPage:
    """Of the tenant, as the API tells it unless its URL is given."""
    if sign_in is not None:
        return SignInPage(sign_in=checked_url(sign_in), command_line=None, agent=None)
    if tenant is None:
        raise click.UsageError("say --tenant")
    return sign_in_page(api, tenant)


@click.command()
@with_line
def logout(line: Line) -> None:
    """Forget the tokens that are kept here."""
    line.file.unlink(missing_ok=True)
    line.agent_file.unlink(missing_ok=True)


@click.command()
@with_line
def whoami(line: Line) -> None:
    """Say who is signed in, and what they may do on the tenant."""
    with line.fleet() as fleet:
        me = fleet.me()

    def words() -> str:
        groups = ", ".join(me.groups) or "no group"
        tier = f", tier {me.tier}" if me.tier else ""
        return f"{me.email or me.principal} of {me.tenant} ({groups}){tier}, until {me.expires_at}"

    line.show(me.to_dict(), words)


class _Listener:
    """Takes the browser's one request to the callback, on this machine alone.

    Source: RFC 8252, 7.3 and 8.3: the loopback interface, no longer than the sign-in lasts.
    """

    def __init__(self, callback: str) -> None:
        split = urlsplit(callback)
        if split.scheme != "http" or split.hostname != "localhost" or split.port is None:
            raise SignInError(f"`{callback}` is no address of this machine with a port")
        found: dict[str, str] = {}
        path = split.path or "/"

        class Callback(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = urlsplit(self.path)
                if asked.path != path:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                found.update(parse_qsl(asked.query))
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(_RETURNED)))
                # The code stands in the address: no page is told where the browser came from.
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(_RETURNED)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002 - a code must stand in no log
                return

        self._found = found
        self._server = HTTPServer(("127.0.0.1", split.port), Callback)
        self._server.timeout = _PATIENCE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def returned(self) -> dict[str, str]:
        """What the browser brought back.

        Raises:
            SignInError: it did not come.
        """
        while not self._found:
            before = os.times().elapsed
            self._server.handle_request()
            if not self._found and os.times().elapsed - before >= _PATIENCE_SECONDS:
                raise SignInError("the browser did not come back")
        return self._found


COMMANDS: Final = (login, logout, whoami)
