"""The import contracts of pyproject.toml hold: each refuses a forbidden import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    "service": ROOT / "service",
    "infra": ROOT / "infra",
    "cedarfleet_device": ROOT / "device_sdk/src/cedarfleet_device",
}
LINTER: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: Final = [contract["name"] for contract in LINTER["contracts"]]
# contract -> a file, and the line that it gets
FORBIDDEN: Final = {
    "service: api -> operations -> ports -> domain": (
        "service/domain/ulids.py",
        "import service.operations.commands",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, to break."""
    for name, folder in PACKAGES.items():
        shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def lint(root: Path) -> tuple[int, str]:
    """Exit code and words of import-linter over the packages in `root`."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_contract_has_a_forbidden_import() -> None:
    """No contract is without its proof."""
    assert sorted(FORBIDDEN) == sorted(CONTRACTS)


def test_the_copy_keeps_every_contract(copy: Path) -> None:
    """What the other tests break was whole, and it is the copy that is read."""
    code, said = lint(copy)
    assert code == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_a_forbidden_import_is_refused(copy: Path, contract: str) -> None:
    """One forbidden line breaks the contract that is there against it."""
    name, line = FORBIDDEN[contract]
    file = copy / name
    file.write_text(f"{file.read_text()}\n{line}\n")
    code, said = lint(copy)
    assert code == 1, said
    assert f"{contract} BROKEN" in " ".join(said.split()), said
