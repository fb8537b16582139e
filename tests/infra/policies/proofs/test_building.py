"""The prover is built where cargo is; elsewhere it is told why not, and nobody fails for that."""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from infra.commands import policies
from infra.policies.proofs.asking import NOT_BUILT, PROVER, NotProvedError, find_prover
from infra.policies.proofs.building import Built, build

if TYPE_CHECKING:
    from pathlib import Path

needs_cargo: Final = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")
SOLVED: Final = {**os.environ, "CVC5": "/bin/true"}
MANIFEST: Final = '[package]\nname = "cedarfleet-prover"\nversion = "0.1.0"\nedition = "2021"\n'
LOCK: Final = 'version = 3\n\n[[package]]\nname = "cedarfleet-prover"\nversion = "0.1.0"\n'


@pytest.fixture
def crate(tmp_path: Path) -> Path:
    """A checkout whose prover is a program that asks nobody for anything."""
    folder = tmp_path.joinpath(*PROVER)
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "Cargo.lock").write_text(LOCK, encoding="utf-8")
    (folder / "src" / "main.rs").write_text("fn main() {}\n", encoding="utf-8")
    return tmp_path


def test_without_cargo_it_is_told_why(crate: Path) -> None:
    """It is kept, too, for whoever looks for a proof later."""
    outcome = build(crate, seconds=60, environment={"PATH": str(crate)})
    assert (outcome.built, outcome.words) == (Built.NOT_HERE, "there is no cargo")
    with pytest.raises(NotProvedError, match="not built: there is no cargo"):
        find_prover(crate)


@needs_cargo
def test_without_a_registry_it_is_told_why(crate: Path) -> None:
    """A crate that nobody can fetch is none of our faults."""
    folder = crate.joinpath(*PROVER)
    manifest = f'{MANIFEST}\n[dependencies]\nserde_json = "=1.0.1"\n'
    (folder / "Cargo.toml").write_text(manifest, encoding="utf-8")
    (folder / "Cargo.lock").unlink()
    home = {"CARGO_HOME": str(crate / "home"), "CARGO_NET_OFFLINE": "true"}
    outcome = build(crate, seconds=60, environment={**SOLVED, **home})
    assert outcome.built is Built.NOT_HERE
    assert outcome.words.startswith("no crates: ")


def test_a_build_takes_no_longer_than_it_may(crate: Path) -> None:
    """Whatever cargo started ends with it, and nothing burns on beside the tests."""
    cargo, pid = crate / "bin" / "cargo", crate / "pid"
    cargo.parent.mkdir()
    compiles = f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
    script = f"#!/bin/sh\nif [ $1 = build ]; then {compiles}; fi\n"
    cargo.write_text(script, encoding="utf-8")
    cargo.chmod(0o700)
    path = f"{cargo.parent}{os.pathsep}{os.environ['PATH']}"
    outcome = build(crate, seconds=5, environment={**SOLVED, "PATH": path})
    assert outcome.built is Built.NOT_HERE
    assert outcome.words == "cargo could not build it in 5 s; `make prove` waits longer"
    compiler = int(pid.read_text(encoding="utf-8"))
    with suppress(ProcessLookupError):  # then it has ended
        process = os.pidfd_open(compiler)
        try:
            ended = select.select([process], [], [], 30)[0]
        finally:
            os.close(process)
        if not ended:
            os.kill(compiler, signal.SIGKILL)
        assert ended, "the compiler goes on"


@needs_cargo
def test_sources_that_do_not_compile_are_wrong(
    crate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No proof of ours goes away because a program of ours was broken."""
    folder = crate.joinpath(*PROVER)
    (folder / "src" / "main.rs").write_text("fn main() { proved }\n", encoding="utf-8")
    options = argparse.Namespace(verb="prover", seconds=60)
    assert policies.run(options, root=crate) == 1
    assert "cannot find value `proved`" in capsys.readouterr().err


@needs_cargo
def test_what_is_built_is_found(crate: Path) -> None:
    """The reason why there was none goes away with it."""
    build(crate, seconds=60, environment={"PATH": str(crate)})
    assert build(crate, seconds=60, environment=SOLVED).built is Built.YES
    assert not (crate / NOT_BUILT).exists()
    assert find_prover(crate, SOLVED).environment["CVC5"] == "/bin/true"
