"""The import contracts of pyproject.toml hold: each refuses a forbidden import."""

from __future__ import annotations

import os
import re
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
    "service: every module stands in a layer and sees the layers below it": (
        "service/operations/commands.py",
        "import service.adapters.aws.client.calls",
    ),
    "service: adapters answer ports and know no operation": (
        "service/adapters/memory/audit.py",
        "import service.operations.commands",
    ),
    "service: each technology of the adapters stands alone": (
        "service/adapters/memory/audit.py",
        "import service.adapters.aws.audit",
    ),
    "service: the policy model knows nothing but Cedar": (
        "service/cedar/values.py",
        "import boto3",
    ),
    "service knows nothing of infra": ("service/settings.py", "import infra.names"),
    "infra: the laptop above the operator's command above the program above the policies": (
        "infra/policies/files/load.py",
        "import infra.stacks.provider",
    ),
    "infra sees of the service nothing but the policy model and the schemas of commands": (
        "infra/names.py",
        "import service.domain.tenants",
    ),
    "the laptop's Verified Permissions endpoint, Pulumi engine and clients each stand alone": (
        "infra/local/verified_permissions/pages.py",
        "import infra.names",
    ),
    "service and infra see of the device nothing but the wire": (
        "service/domain/tenants.py",
        "import cedarfleet_device.agent",
    ),
    "the device package stands alone": (
        "cedarfleet_device/clock.py",
        "import service.errors",
    ),
    "no import runs back and no circle exists, in any folder": (
        "service/domain/permissions.py",
        "import service.domain.artifacts",
    ),
}
# A module that nobody has given a place breaks the closed lists.
UNPLACED: Final = {
    "service: every module stands in a layer and sees the layers below it": "service/stray.py",
    "service: each technology of the adapters stands alone": "service/adapters/stray.py",
    "infra: the laptop above the operator's command above the program above the policies": (
        "infra/stray.py"
    ),
}


def copied(folder: Path) -> Path:
    """The packages and their contracts, to break."""
    for name, package in PACKAGES.items():
        shutil.copytree(package, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def lint(root: Path) -> tuple[int, str]:
    """Exit code and words of import-linter over the packages in `root`."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_contract_has_a_forbidden_import() -> None:
    """No contract is without its proof."""
    assert sorted(FORBIDDEN) == sorted(CONTRACTS)


def module_of(file: str) -> str:
    """The name of a module by its file."""
    return file.removesuffix(".py").replace("/", ".")


def details(said: str) -> dict[str, str]:
    """Of each broken contract, by its name, what the linter says that breaks it."""
    _, _, rest = said.partition("Broken contracts")
    parts = re.split(r"\n([^\n]+)\n-{3,}\n", rest)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def forbidden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What breaks each contract once all the forbidden lines stand in one copy."""
    copy = copied(tmp_path_factory.mktemp("forbidden"))
    for name, line in FORBIDDEN.values():
        with (copy / name).open("a") as file:
            file.write(f"\n{line}\n")
    code, said = lint(copy)
    assert code == 1, said
    return details(said)


@pytest.fixture(scope="module")
def unplaced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same of all the stray modules."""
    copy = copied(tmp_path_factory.mktemp("unplaced"))
    for name in UNPLACED.values():
        (copy / name).write_text('"""A stray module."""\n')
    code, said = lint(copy)
    assert code == 1, said
    return details(said)


def test_the_copy_keeps_every_contract(tmp_path: Path) -> None:
    """What the other tests break was whole, and it is the copy that is read."""
    code, said = lint(copied(tmp_path))
    assert code == 0, said
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_a_forbidden_import_is_refused(contract: str, forbidden: dict[str, str]) -> None:
    """The forbidden line, and not another one, breaks the contract that is there against it."""
    name, line = FORBIDDEN[contract]
    importer, imported = module_of(name), line.split()[1]
    link = f"{importer} -> {imported} (l."
    circle = f".{importer.rpartition('.')[2]} -> .{imported.rpartition('.')[2]} (1 import)"
    assert link in forbidden[contract] or circle in forbidden[contract], forbidden


@pytest.mark.parametrize("contract", UNPLACED)
def test_a_module_in_no_layer_is_refused(contract: str, unplaced: dict[str, str]) -> None:
    """The lists are closed: a new module must be given its layer."""
    assert module_of(UNPLACED[contract]) in unplaced[contract], unplaced
