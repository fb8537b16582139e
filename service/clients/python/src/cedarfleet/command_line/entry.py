"""The entry: the group of commands, and the one table from an error to words and exit code."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.command_line import (
    agents,
    audit,
    campaigns,
    devices,
    events,
    grants,
    permissions,
    rollouts,
    sessions,
    wanted_versions,
)
from cedarfleet.command_line.line import (
    API_ERROR,
    DONE,
    FAILED,
    NOT_ENDED,
    NOT_FOUND,
    NOT_SIGNED_IN,
    REFUSED,
    UNREACHABLE,
    Line,
)
from cedarfleet.errors import (
    ApiError,
    CedarfleetError,
    NotEndedError,
    NotFoundError,
    NotSignedInError,
    RefusedError,
    SignInError,
    UnreachableError,
    UploadError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CODES: Final[tuple[tuple[type[CedarfleetError], int], ...]] = (
    (NotSignedInError, NOT_SIGNED_IN),
    (SignInError, NOT_SIGNED_IN),
    (RefusedError, REFUSED),
    (NotFoundError, NOT_FOUND),
    (ApiError, API_ERROR),
    (NotEndedError, NOT_ENDED),
    (UnreachableError, UNREACHABLE),
    (UploadError, FAILED),
)


_EPILOG: Final = """
Exit codes: 0 done; 1 tried, and did not come out; 2 wrong usage; 3 nobody is signed in; 4 the
policies refuse; 5 there is none; 6 another answer of the API; 7 not ended in time; 8 nobody
answers.

Completion: eval "$(_CEDARFLEET_COMPLETE=bash_source cedarfleet)"; also zsh_source, fish_source.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(package_name="cedarfleet")
def cedarfleet() -> None:
    """Devices, rollouts and permissions of a Cedarfleet tenant."""


PARTS: Final = (
    sessions,
    devices,
    campaigns,
    events,
    rollouts,
    wanted_versions,
    permissions,
    grants,
    audit,
    agents,
)

for part in PARTS:
    for command in part.COMMANDS:
        cedarfleet.add_command(command)


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run the command line; ends the process with the exit code."""
    line = Line() if environment is None else Line(environment=environment)
    try:
        code = cedarfleet.main(
            args=None if arguments is None else list(arguments),
            prog_name="cedarfleet",
            standalone_mode=False,
            obj=line,
        )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(FAILED)
    except CedarfleetError as error:
        _tell(line, error)
        sys.exit(next((code for kind, code in _CODES if isinstance(error, kind)), API_ERROR))
    except BrokenPipeError:
        # Whoever read has enough: `cedarfleet events | head`. Nothing is left to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except OSError as error:
        line.told.print(f"[red]{error}[/]", markup=True)
        sys.exit(FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(line: Line, error: CedarfleetError) -> None:
    if line.as_json:
        problem: dict[str, Any] = error.problem if isinstance(error, ApiError) else {}
        json.dump({"error": str(error), **problem}, sys.stderr)
        sys.stderr.write("\n")
        return
    line.told.print(f"[red]{type(error).__name__.removesuffix('Error')}:[/]", end=" ")
    line.told.print(str(error), markup=False)
    if isinstance(error, RefusedError):
        permissions.tell_why(line.told, error.policies, error.explained)
    if isinstance(error, NotSignedInError):
        line.told.print("Sign in again: cedarfleet login", markup=False)
