"""What is committed says nothing of the machine that made it, and its links lead somewhere."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Spelled in parts, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "proxy.go" + "lang.org",
]
MACHINE_PATHS = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"]


def tracked_files() -> list[Path]:
    """Every text file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_host_or_a_path_of_the_machine() -> None:
    """A checkout works anywhere, so nothing in it points at where it was made."""
    found = [
        f"{path.relative_to(ROOT)}: {needle}"
        for path in tracked_files()
        for needle in REGISTRY_HOSTS + MACHINE_PATHS
        if needle in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


@pytest.mark.parametrize(
    "document", sorted(str(p.relative_to(ROOT)) for p in tracked_files() if p.suffix == ".md")
)
def test_links_in_documents_lead_to_files(document: str) -> None:
    """A reader who follows a relative link of a document finds the file."""
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_every_decision_stands_in_the_index() -> None:
    """docs/adr/README.md lists each decision once."""
    folder = ROOT / "docs/adr"
    decisions = {path.name for path in folder.glob("[0-9]*.md")}
    assert decisions == set(
        re.findall(r"\]\(([0-9][^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    )


def test_the_lock_pins_what_pyproject_pins() -> None:
    """An exact version of pyproject.toml is that of the lock, and every entry has a hash."""
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", locked, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *(r for g in project["dependency-groups"].values() for r in g),
    ]
    exact = {m[1]: m[2] for r in wanted if (m := re.fullmatch(r"([a-z0-9-]+)==([0-9.]+)", r))}
    assert exact
    assert {name: versions.get(name) for name in exact} == exact
    assert locked.count("--hash=sha256:") >= len(versions)


def test_every_dependency_says_why_it_is_there() -> None:
    """Each requirement of a pyproject.toml has a line of its own that says why."""
    for path in (ROOT / "pyproject.toml", ROOT / "device_sdk/pyproject.toml"):
        text = path.read_text(encoding="utf-8")
        project = tomllib.loads(text)
        groups = project.get("dependency-groups", {}).values()
        requirements = [
            *project["project"]["dependencies"],
            *(each for group in groups for each in group),
        ]
        assert requirements
        unexplained = [
            each
            for each in requirements
            if not re.search(rf'^\s*"{re.escape(each)}",\s+# \w+', text, re.MULTILINE)
        ]
        assert unexplained == []


def test_the_map_of_concepts_names_files_that_exist() -> None:
    """Each path in a table of docs/request-path.md is there, also of a list in braces."""
    lines = (ROOT / "docs/request-path.md").read_text(encoding="utf-8").splitlines()
    cells = " ".join(line for line in lines if line.startswith("|"))
    named = [path for text in re.findall(r"`([^` ]+/[^` ]*)`", cells) for path in _expanded(text)]
    assert len(named) > 60
    missing = [
        path
        for path in named
        if not path.startswith(("/", "fleet/", "firmware/"))
        and not any(ROOT.glob(path.rstrip("/").replace("...", "src/cedarfleet_device")))
    ]
    assert missing == []


def _expanded(path: str) -> list[str]:
    """`a/{b,c}.py` written out."""
    match = re.fullmatch(r"(.*)\{([^}]+)\}(.*)", path)
    return [match[1] + each + match[3] for each in match[2].split(",")] if match else [path]
