"""One verb on one stack, in a process of its own: the real CLI, or the engine of the laptop.

Selecting a stack writes one file of `PULUMI_HOME` that all runs would share
(source: github.com/pulumi/pulumi, issue 8186), so each has its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from infra.stacks.config.reading import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DRIFTED: Final = 4  # exit code of `drift` that found some; 1 is for what went wrong
_LAST_LINES: Final = 3
_FLIPS: Final = re.compile(r"(\d+) of \d+ decisions flip$")  # as `policies diff` says it
# Of the engine, the CLI and the comparison of policies: how many resources, and which decisions.
_TELLING: Final = (" unchanged", "Who may do what", "decisions flip", "The store holds")


class Engine(Protocol):
    """Whoever stamps a stack."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def command(self, verb: str, stack: str) -> list[str]:
        """What a child process runs; it exits with 0, or ``DRIFTED``, or another code and why."""
        ...

    def cloud(self) -> LaptopCloud | None:
        """The embedded cloud to which it stamps; ``None``: the account of the environment."""
        ...


class LaptopCloud(msgspec.Struct, kw_only=True):
    """What `cloud.json` of ``make up`` says of an embedded cloud.

    Attributes:
        endpoint_url: of all its services.
        region: as its resources are named.
        environment: with its root keys.
    """

    endpoint_url: str
    region: str
    environment: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class EmbeddedEngine:
    """The in-process engine, against the cloud of ``make up``.

    Attributes:
        project: folder of ``Pulumi.yaml``.
        state: folder of ``make up``.
    """

    project: Path
    state: Path
    name: str = "the laptop's engine"

    def command(self, verb: str, stack: str) -> list[str]:
        """One run of ``python -m infra.local.stacks``."""
        places = ["--project", str(self.project), "--state", str(self.state)]
        return [sys.executable, "-m", "infra.local.stacks", verb, "-s", stack, *places]

    def cloud(self) -> LaptopCloud:
        """That of ``make up``.

        Raises:
            ConfigError: there is none.
        """
        file = self.state / "cloud.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=LaptopCloud)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{file}: no cloud of `make up`: {error!r}") from error


@dataclass(frozen=True, kw_only=True)
class PulumiCli:
    """The real CLI, through Pulumi's Automation API.

    Attributes:
        project: folder of ``Pulumi.yaml``.
    """

    project: Path
    name: str = "Pulumi"

    def command(self, verb: str, stack: str) -> list[str]:
        """One run of ``python -m infra.commands.pulumi_stack``."""
        words = [verb, "-s", stack, "--project", str(self.project)]
        return [sys.executable, "-m", "infra.commands.pulumi_stack", *words]

    def cloud(self) -> None:
        """None of ours."""


def chosen(project: Path, state: Path, *, wanted: str) -> Engine:
    """The engine that was asked for; ``auto``: the CLI where there is one.

    Args:
        project: folder of ``Pulumi.yaml``.
        state: folder of ``make up``.
        wanted: ``auto``, ``pulumi`` or ``embedded``.
    """
    if wanted == "pulumi" or (wanted == "auto" and shutil.which("pulumi")):
        return PulumiCli(project=project)
    return EmbeddedEngine(project=project, state=state)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run of one stack ended.

    Attributes:
        code: of its process; negative: the signal that ended it.
        seconds: from start to end.
        said: its last lines, for a report.
        terms: of a tenant, what becomes otherwise and what it would lose; none: nothing.
        flips: of its decisions that were asked, those that come out otherwise.
        told: of all its lines those that say what changes, and who may do what then.
    """

    code: int
    seconds: float
    said: tuple[str, ...]
    terms: tuple[str, ...] = ()
    flips: int = 0
    told: tuple[str, ...] = ()

    @property
    def went_well(self) -> bool:
        """Whether it did what it was to do; to have found drift is that."""
        return self.code in {0, DRIFTED}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a run reads and writes.

    Attributes:
        root: the project's folder.
        logs: folder to which the names of logs belong.
        locks: folder of the stacks' locks; one for all runs.
    """

    root: Path
    logs: Path
    locks: Path


def run(engine: Engine, verb: str, stack: str, *, places: Places, log: Path) -> Outcome:
    """Run a verb to its end, once nobody else runs one on the stack.

    The child holds the stack's lock, which the kernel frees when it ends. So it may outlive this
    process (a stamping that is killed half way leaves more to mend than one that ends), and a later
    run waits for it.

    Args:
        engine: whoever stamps.
        verb: ``preview``, ``up`` or ``drift``.
        stack: its name.
        places: where it reads and writes.
        log: gets all that it says.
    """
    places.locks.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (places.locks / f"{stack}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.monotonic()
        with log.open("w", encoding="utf-8") as said:
            child = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                engine.command(verb, stack),
                cwd=places.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                start_new_session=True,  # Ctrl-C ends the whole run in order, and no stack half way
            )
            code = child.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return Outcome(
        code=code,
        seconds=time.monotonic() - began,
        said=tuple(lines[-_LAST_LINES:] or ()),
        flips=sum(int(found[1]) for line in lines if (found := _FLIPS.search(line))),
        told=tuple(line.strip() for line in lines if any(words in line for words in _TELLING)),
    )
