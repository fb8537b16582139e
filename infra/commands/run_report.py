"""The report of a run over many stacks: what is done, so that a killed run goes on there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["waiting", "running", "done", "drifted", "failed"]
FINISHED: Final = frozenset({"done", "drifted"})


class StackReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How one stack fared.

    Attributes:
        state: ``waiting`` after the end of a run: the run stopped before its turn.
        ring: 0 for the canary, 1 for all others.
        seconds: that it took; 0 before its end.
        said: its last lines; all of them are in ``log``.
        terms: of a tenant, what becomes otherwise of them and what it would lose.
        flips: of its decisions that were asked, those that come out otherwise.
        log: the file with what it said, beside the report.
    """

    state: State = "waiting"
    ring: int
    seconds: float = 0.0
    said: list[str] = []
    terms: list[str] = []
    flips: int = 0
    log: str


class RunReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A run: its verb, and its stacks in their order.

    Attributes:
        verb: ``preview``, ``up`` or ``drift``.
        engine: who stamps.
        began_at: RFC 3339.
        stacks: name -> how it fared.
    """

    verb: str
    engine: str
    began_at: str
    stacks: dict[str, StackReport]

    def count(self, *states: State) -> int:
        """How many stacks are in one of these states."""
        return sum(stack.state in states for stack in self.stacks.values())


class ReportError(Exception):
    """A report cannot be read, or is of another run; says which file and why."""


def read(file: Path) -> RunReport:
    """A report of a run before.

    Raises:
        ReportError: there is none, or it is not one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=RunReport)
    except OSError as error:
        raise ReportError(f"{file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ReportError(f"{file}: is no report of a run: {error}") from error


def write(report: RunReport, file: Path) -> None:
    """Replace the file as a whole: whoever reads it, after a kill too, reads one state."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    new.replace(file)
