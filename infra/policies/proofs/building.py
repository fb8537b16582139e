"""Builds the prover where that can be done, and says why not where it cannot.

Cargo, its registry, a linker and Python's index are the machine's, and none of them is ours: what
they do not give is told and kept in a file, so that whoever misses a proof reads why. Sources of
ours that do not compile are a fault, and nothing passes over it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.policies.proofs.asking import NOT_BUILT, PROGRAM, PROVER, SOLVER, TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OWN: Final = "could not compile `cedarfleet-prover`"
_FETCH_SECONDS: Final = 120.0
# A registry that does not answer is given up soon: cargo's own patience is four times 30 s of each.
_IMPATIENT: Final = {"CARGO_NET_RETRY": "1", "CARGO_HTTP_TIMEOUT": "10"}
_SAID: Final = 300  # of what a program said, letters that are told


class Built(StrEnum):
    """What came of it."""

    YES = "built"
    NOT_HERE = "not here"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of building, and why, in words."""

    built: Built
    words: str


@dataclass(frozen=True)
class _NotDoneError(Exception):
    """The words are for people; ``said`` is all that the program said."""

    words: str
    said: str = ""


def build(
    root: Path, *, seconds: float | None, environment: Mapping[str, str] = os.environ
) -> Outcome:
    """Build the prover of a checkout and fetch its solver; what is there already is kept.

    Args:
        root: of the checkout.
        seconds: that cargo may compile; ``None``: as long as it takes. What was compiled by then is
            kept, so the next one goes on from there.
        environment: of cargo, with its path.

    Returns:
        ``NOT_HERE`` where the machine lacks something, ``BROKEN`` where our own sources do not
        compile.
    """
    told = root / NOT_BUILT
    try:
        _compile(root, {**environment, **_IMPATIENT}, seconds)
        _fetch_solver(root, environment)
    except _NotDoneError as error:
        if _OWN in error.said and "linker" not in error.said:
            return Outcome(built=Built.BROKEN, words=error.said.strip())
        told.parent.mkdir(exist_ok=True)
        told.write_text(f"{error.words}\n", encoding="utf-8")
        return Outcome(built=Built.NOT_HERE, words=error.words)
    told.unlink(missing_ok=True)
    return Outcome(built=Built.YES, words=f"the prover is built: {root / PROGRAM}")


def _compile(root: Path, environment: Mapping[str, str], seconds: float | None) -> None:
    if (cargo := shutil.which("cargo", path=environment.get("PATH"))) is None:
        raise _NotDoneError("there is no cargo")
    locked = ("--locked", "--manifest-path", str(root.joinpath(*PROVER, "Cargo.toml")))
    # By itself, so that a registry that does not answer is told from sources that do not compile.
    _run([cargo, "fetch", "--quiet", *locked], environment, _FETCH_SECONDS, "no crates")
    target = ("--target-dir", str(root / TARGET))
    line = [cargo, "build", "--quiet", "--offline", "--release", *locked, *target]
    _run(line, environment, seconds, "cargo could not build it")


def _fetch_solver(root: Path, environment: Mapping[str, str]) -> None:
    if environment.get("CVC5") or shutil.which("cvc5", path=environment.get("PATH")):
        return
    into = root / SOLVER
    # Bindings of another Python are of no use; those of this one stand until they do not load.
    if into.is_dir() and _loads(into, environment):
        return
    line = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"),
        *("--system-certs", "--python", sys.executable, "--target", str(into)),
        *("--require-hashes", "-r", str(root.joinpath(*PROVER, "cvc5.lock"))),
    ]
    _run(line, environment, _FETCH_SECONDS, "no solver cvc5")


def _loads(bindings: Path, environment: Mapping[str, str]) -> bool:
    try:
        asked = {**environment, "PYTHONPATH": str(bindings)}
        _run([sys.executable, "-c", "import cvc5"], asked, _FETCH_SECONDS, "")
    except _NotDoneError:
        return False
    return True


def _run(
    line: Sequence[str], environment: Mapping[str, str], seconds: float | None, words: str
) -> None:
    with subprocess.Popen(  # noqa: S603 - cargo of the path, uv of our environment
        line,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as running:
        try:
            _, said = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            # The compilers that cargo started too: they would go on beside the tests.
            os.killpg(running.pid, signal.SIGKILL)
            raise _NotDoneError(f"{words} in {seconds:g} s; `make prove` waits longer") from error
    if running.returncode != 0:
        last = " ".join(said.split())[-_SAID:]
        raise _NotDoneError(f"{words}: {last}", said=said)
