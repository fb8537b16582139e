"""What every command of the line has: the fleet, the output in two forms, the exit codes."""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol

import click
from rich.console import Console
from rich.table import Table

from cedarfleet.client import Fleet
from cedarfleet.errors import NotSignedInError, SignInError
from cedarfleet.session_file import keep, kept, session_file
from cedarfleet.sign_in import Bearer, checked_url, machine, sign_in_page, token_bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

Given = ParamSpec("Given")

DONE = 0
FAILED = 1  # what was asked for was tried, and did not come out
USAGE = 2  # click's own
NOT_SIGNED_IN = 3
REFUSED = 4
NOT_FOUND = 5
API_ERROR = 6
NOT_ENDED = 7
UNREACHABLE = 8


class Document(Protocol):
    """A generated model."""

    def to_dict(self) -> dict[str, Any]:
        """In JSON."""
        ...


@dataclass(kw_only=True)
class Line:
    """One run of the command line.

    Attributes:
        as_json: whether standard output is JSON alone.
        environment: where the session is, and a machine's own.
        out: for what was asked for.
        told: for everything else, standard error.
    """

    as_json: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    out: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    told: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    @property
    def file(self) -> Path:
        """Of the session."""
        return session_file(self.environment)

    @property
    def agent_file(self) -> Path:
        """Of the session that an agent acts by, beside the person's own."""
        return self.file.with_name("agent.json")

    def fleet(self) -> Fleet:
        """The fleet of whoever is signed in.

        ``CEDARFLEET_TOKEN`` is a token of ``CEDARFLEET_API``; a machine in CI has
        ``CEDARFLEET_CLIENT_ID`` and ``CEDARFLEET_CLIENT_SECRET`` of ``CEDARFLEET_TENANT``, whose
        sign-in page the API tells, or of ``CEDARFLEET_SIGN_IN``.

        Raises:
            SignInError: nobody is, or the environment has a part of that alone.
        """
        if token := self.environment.get("CEDARFLEET_TOKEN"):
            api = self._beside("CEDARFLEET_TOKEN", "CEDARFLEET_API")
            return Fleet(checked_url(api), token_bearer(api, token))
        if secret := self.environment.get("CEDARFLEET_CLIENT_SECRET"):
            api = self._beside("CEDARFLEET_CLIENT_SECRET", "CEDARFLEET_API")
            session = machine(
                api=checked_url(api),
                client_id=self._beside("CEDARFLEET_CLIENT_SECRET", "CEDARFLEET_CLIENT_ID"),
                sign_in=self._sign_in(checked_url(api)),
                secret=secret,
            )
            return Fleet(session.api, Bearer(session))
        session = kept(self.file)
        if session is None:
            raise SignInError("nobody is signed in: `cedarfleet login`")
        return Fleet(session.api, Bearer(session, keep=lambda found: keep(found, self.file)))

    def _beside(self, given: str, needed: str) -> str:
        """What the environment says of the other; no session that is kept stands in for it."""
        if found := self.environment.get(needed):
            return found
        raise SignInError(
            f"{given} is set and {needed} is not: set both, or neither to act as who signed in"
        )

    def _sign_in(self, api: str) -> str:
        if url := self.environment.get("CEDARFLEET_SIGN_IN"):
            return checked_url(url)
        tenant = self.environment.get("CEDARFLEET_TENANT")
        if not tenant:
            raise SignInError("whose machine is it? Set CEDARFLEET_TENANT")
        return sign_in_page(api, tenant).sign_in

    def show(self, document: Any, table: Callable[[], object]) -> None:
        """Print the document in JSON, or what is for people."""
        if self.as_json:
            json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
            sys.stdout.write("\n")
        else:
            self.out.print(table())

    def show_rows(
        self,
        rows: Iterable[Document],
        columns: Sequence[str],
        cells: Callable[[Any], Sequence[str]],
    ) -> None:
        """Print a list: in JSON one document, for people a table."""
        found = list(rows)

        def table() -> Table:
            made = Table(box=None, pad_edge=False, header_style="bold")
            for column in columns:
                made.add_column(column, overflow="fold")
            for row in found:
                made.add_row(*cells(row))
            return made

        self.show([one.to_dict() for one in found], table)


def with_line(
    function: Callable[Concatenate[Line, Given], int | None],
) -> Callable[Given, None]:
    """A command that is given the ``Line`` first, has ``--json``, and ends with its exit code."""

    @click.option("--json", "as_json", is_flag=True, help="print JSON, for scripts")
    @click.pass_obj
    @functools.wraps(function)
    def command(line: Line, *given: Given.args, **options: Given.kwargs) -> None:
        line.as_json = bool(options.pop("as_json", False)) or line.as_json
        code = function(line, *given, **options)
        click.get_current_context().exit(code or DONE)

    return command


def sign_in_again(error: NotSignedInError) -> str:
    """What a person is told whose token proves nothing any more."""
    return f"{error}; sign in: `cedarfleet login`"
