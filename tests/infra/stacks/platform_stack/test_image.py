"""The service's image: what the service imports, at the locked versions, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
DOCKERFILE = (ROOT / "service" / "Dockerfile").read_text()
ABSENT = ("pulumi", "pulumi_aws", "ministack", "hypercorn", "infra", "awscrt", "awsiot")
# What the service imports, as its packages are asked for; everything else of the image is theirs.
WANTED = (
    *("litestar", "uvicorn[standard]", "boto3", "pyjwt[crypto]", "msgspec", "structlog"),
    *("cedarpy", "jsonschema-rs"),
)


def copied() -> list[tuple[list[str], str]]:
    """What the Dockerfile copies from the project: sources and destination of each line."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
    return [(words[:-1], words[-1]) for words in (line.split() for line in lines)]


def locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> version and hashes of a lock."""
    entries = re.findall(
        r"^([a-z0-9._-]+)==(\S+)((?:.*\\\n)+.*)", path.read_text(), flags=re.MULTILINE
    )
    found = {
        name: (version, frozenset(re.findall(r"sha256:\w{64}", rest)))
        for name, version, rest in entries
    }
    assert len(found) > 20
    return found


def needed(wanted: Iterator[str] | tuple[str, ...], seen: set[str]) -> set[str]:
    """Every package that the wanted ones need on Linux, themselves included."""
    for text in wanted:
        one = Requirement(text)
        name = canonicalize_name(one.name)
        for extra in ("", *one.extras):
            if f"{name}[{extra}]" in seen:
                continue
            seen.add(f"{name}[{extra}]")
            there = {
                "extra": extra,
                "sys_platform": "linux",
                "platform_python_implementation": "CPython",
            }
            parts = [Requirement(part) for part in requires(name) or ()]
            needed(
                tuple(
                    str(part) for part in parts if not part.marker or part.marker.evaluate(there)
                ),
                seen,
            )
    return {entry.partition("[")[0] for entry in seen}


def test_the_service_starts_from_what_is_copied(tmp_path: Path) -> None:
    """With the copied files alone and all left-out packages blocked, the modules load."""
    for sources, destination in copied():
        for source in sources:
            if destination == "./":
                continue
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source,
                    tmp_path / destination,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            else:
                (tmp_path / destination).mkdir(exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / destination)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}));"
        "import service.composition, service.__main__, service.server, service.worker;"
        "import cedarfleet_device; print(service.__file__); print(cedarfleet_device.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert [Path(line).parent.parent for line in done.stdout.split()] == [tmp_path, tmp_path]


def test_the_image_installs_all_that_it_needs_as_locked() -> None:
    """Its lock is what the service needs of the project's: same versions and hashes, all of it."""
    whole, part = locked(ROOT / "requirements.lock"), locked(ROOT / "service" / "requirements.lock")

    assert {name: whole.get(name) for name in part} == part
    assert all(hashes for _, hashes in part.values())
    assert needed(WANTED, set()) <= part.keys()
    assert part.keys().isdisjoint(
        {"pulumi", "pulumi-aws", "ministack", "hypercorn", "awsiotsdk", "awscrt"}
    )


def test_the_image_installs_nothing_without_a_hash() -> None:
    """There is one installation, in hash-checking mode, of wheels only."""
    installs = re.findall(r"pip install(.*)", DOCKERFILE)
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]


def test_what_the_image_needs_is_what_reaches_the_build() -> None:
    """The context is shut but for the copied files: no state, key or environment gets in."""
    lines = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    opened = {line.removeprefix("!") for line in lines if line.startswith("!")}
    shut = [line for line in lines if not line.startswith("!")]
    folders = {
        path for path in opened if f"{path}/*" in shut
    }  # opened only to open something in them

    assert lines[0] == "*"
    lock = "service/requirements.lock"  # lies in a copied folder
    assert opened - folders == {source for sources, _ in copied() for source in sources} - {lock}
    assert "**/__pycache__" in shut


def test_the_base_image_can_come_from_a_mirror() -> None:
    """Both stages start from one argument, whose default names no host."""
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE) == [
        "${PYTHON_IMAGE}",
        "${PYTHON_IMAGE}",
    ]
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert "/" not in default


def test_the_image_does_not_run_as_root() -> None:
    """The last user named is a number that is not 0, as ECS and Kubernetes check it."""
    users = re.findall(r"^USER (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert users
    assert int(users[-1]) > 0
