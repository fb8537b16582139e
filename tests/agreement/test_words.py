"""The house's rules of words that no linter knows, over every Python file of the project."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("service", "infra", "device_sdk/src", "tests")
GENERATED: Final = (
    ROOT / "service/clients/python/src/cedarfleet/generated"
)  # by nobody of the house
FILES: Final = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if GENERATED not in path.parents
)
NAME_CHARACTERS: Final = 60
# Folders and modules that say nothing of what is in them; a program and a person are no "he".
EMPTY_NAMES: Final = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "lib",
    "manager",
    "misc",
}
PRONOUN: Final = re.compile(r"\b(?:he|him|his|himself|she|her|hers|herself)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every file, parsed; not at import, which every process of a test run would do and keep."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def shown(path: Path) -> str:
    """The path as a reader of the repository writes it."""
    return path.relative_to(ROOT).as_posix()


def test_a_tests_name_has_at_most_60_characters(trees: dict[Path, ast.Module]) -> None:
    """A name is a subject and an outcome; the sentence is its docstring."""
    long = [
        f"{shown(path)}: {node.name} has {len(node.name)}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and len(node.name) > NAME_CHARACTERS
    ]
    assert long == []


def test_every_test_says_its_behaviour_in_one_line(trees: dict[Path, ast.Module]) -> None:
    """A docstring that is one paragraph and ends its first line with a full stop."""
    silent = [
        f"{shown(path)}: {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").split("\n\n")[0].endswith(".")
    ]
    assert silent == []


def test_every_file_with_code_says_what_it_does(trees: dict[Path, ast.Module]) -> None:
    """The first line of a module is its docstring; an empty file needs none."""
    silent = [
        shown(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_no_name_of_a_file_is_empty_of_meaning() -> None:
    """A newcomer finds a thing by its noun."""
    parts = {part.removesuffix(".py") for path in FILES for part in path.relative_to(ROOT).parts}
    assert parts & EMPTY_NAMES == set()


def test_nobody_is_a_he() -> None:
    """Programs are things, and people may be anybody."""
    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in FILES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PRONOUN.search(line)
    ]
    assert found == []
