"""An installer that is a program: each step is one call of it, with an exit code.

``PROGRAM STEP`` with the steps ``installed``, ``not-now``, ``install``, ``reboot``, ``works``,
``commit`` and ``roll-back``. What it installs stands in the environment: ``CEDARFLEET_FILE``,
``CEDARFLEET_PACKAGE``, ``CEDARFLEET_VERSION``, ``CEDARFLEET_FORMER`` (empty: unknown) and
``CEDARFLEET_SHA256``. Its last line of output is the version or the reason.

====  ==================================================================================
code  means
====  ==================================================================================
0     done; ``works``: it works; ``not-now``: it may begin
10    done, and the device must reboot before it counts (``install``, ``roll-back``)
75    not now, or not yet (``not-now``, ``works``; EX_TEMPFAIL of sysexits.h)
127   the step is not known to the program (any but ``install``): as if there were none
else  failed
====  ==================================================================================
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cedarfleet_device.installs.bounded import StepError
from cedarfleet_device.installs.steps import Installer, Update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DONE, REBOOT, LATER, UNKNOWN = 0, 10, 75, 127
_MOST_OUTPUT: Final = 64 * 1024


class ProgramInstaller(Installer):
    """Carries out the steps by a program.

    Args:
        program: of the maker.
        limit_seconds: after which the program, with all that it started, is killed.
    """

    def __init__(self, program: Path, *, limit_seconds: float) -> None:
        self._program = program
        self._limit = limit_seconds

    def installed(self, package: str) -> str | None:
        """Its last line."""
        code, line = self._run("installed", {"CEDARFLEET_PACKAGE": package})
        return line or None if code == DONE else None

    def not_now(self, update: Update) -> str | None:
        """Its last line, where it says not now."""
        code, line = self._run("not-now", _environment(update))
        if code == LATER:
            return line or "the device says not now"
        _check("not-now", code, line, UNKNOWN)
        return None

    def install(self, update: Update) -> bool:
        """Whether it says that the device must reboot."""
        code, line = self._run("install", _environment(update))
        _check("install", code, line, REBOOT)
        return code == REBOOT

    def reboot(self, update: Update) -> None:
        """Have it done."""
        _check("reboot", *self._run("reboot", _environment(update)))

    def works(self, update: Update) -> bool:
        """Whether it says so."""
        code, line = self._run("works", _environment(update))
        _check("works", code, line, LATER, UNKNOWN)
        return code != LATER

    def commit(self, update: Update) -> None:
        """Have it done."""
        _check("commit", *self._run("commit", _environment(update)), UNKNOWN)

    def roll_back(self, update: Update) -> bool:
        """Whether it says that the device must reboot."""
        code, line = self._run("roll-back", _environment(update))
        _check("roll-back", code, line, REBOOT, UNKNOWN)
        return code == REBOOT

    def _run(self, step: str, environment: Mapping[str, str]) -> tuple[int, str]:
        return run_program([str(self._program), step], environment, seconds=self._limit)


def run_program(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float
) -> tuple[int, str]:
    """Exit code and last line of a program's output; it is killed with all that it started.

    Raises:
        StepError: it cannot be run, or does not end in time.
    """
    code, output = run_for_output(command, environment, seconds=seconds)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return code, lines[-1][:500] if lines else ""


def run_for_output(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float
) -> tuple[int, str]:
    """Exit code and output (both streams); as ``run_program``."""
    try:
        running = subprocess.Popen(  # noqa: S603 - the maker's own program
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StepError(f"`{command[0]}` cannot be run: {error.strerror}") from error
    with running:
        try:
            output, _ = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            raise StepError(
                f"`{' '.join(command[:2])}` did not end within {seconds:g} s, and was killed"
            ) from error
    return running.returncode, output[-_MOST_OUTPUT:].decode(errors="replace")


def _environment(update: Update) -> dict[str, str]:
    return {
        "CEDARFLEET_FILE": str(update.file),
        "CEDARFLEET_PACKAGE": update.package,
        "CEDARFLEET_VERSION": update.version,
        "CEDARFLEET_FORMER": update.former or "",
        "CEDARFLEET_SHA256": update.sha256,
    }


def _check(step: str, code: int, line: str, *also: int) -> None:
    if code not in (DONE, *also):
        raise StepError(f"`{step}` failed (exit code {code}): {line or 'without a word'}")
