"""Finds every seam of the SDK by walking its code, and makes a copy in which each can break.

A seam is a call that leaves what its author has in hand: through an object that was given, through
a part that is held, of a function that was passed, into another module of the SDK, or into the
runtime and the operating system. In the copy ``f(x)`` reads ``__seam__("file:line:column", f)(x)``;
whoever runs it says what ``__seam__`` does.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import cedarfleet_device

SOURCES: Final = Path(cedarfleet_device.__file__).parent
_WORLD: Final = frozenset({"os", "shutil", "socket", "ssl", "sqlite3", "fcntl", "http"})
_OUTSIDE: Final = ("cedarfleet_device", "awscrt", "awsiot")
# The log is how a failure is told, and what waits for nobody else is no other's.
_TELLING: Final = frozenset({"event", "places", "cast", "isinstance", "replace"})
_OWN: Final = frozenset({"threading", "queue", "itertools"})
_DATA: Final = frozenset(
    {"str", "bytes", "bytearray", "memoryview", "int", "float", "bool", "dict", "list", "tuple",
     "set", "object", "Any", "Mapping", "Sequence", "Namespace", "Match"}
)  # fmt: skip


def seams(file: Path) -> dict[str, ast.Call]:
    """Each seam of a source file under its name."""
    found, _ = _walked(file)
    return found


def breakable(target: Path) -> list[str]:
    """Write a copy of the SDK into ``target`` in which each seam can break; their names."""
    names: list[str] = []
    for file in sorted(SOURCES.rglob("*")):
        place = target / "cedarfleet_device" / file.relative_to(SOURCES)
        if file.is_dir() or "__pycache__" in file.parts:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix != ".py":
            place.write_bytes(file.read_bytes())
            continue
        found, tree = _walked(file)
        for name, call in found.items():
            call.func = ast.Call(
                func=ast.Name(id="__seam__", ctx=ast.Load()),
                args=[ast.Constant(name), call.func],
                keywords=[],
            )
        names += found
        place.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    return names


def _walked(file: Path) -> tuple[dict[str, ast.Call], ast.Module]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    walk = _Walk(file.relative_to(SOURCES).as_posix())
    walk.visit(tree)
    return walk.found, tree


class _Walk(ast.NodeVisitor):
    def __init__(self, name: str) -> None:
        self._name = name
        self._imported: set[str] = set()
        self._parameters: list[set[str]] = []
        self._held: list[set[str]] = []
        self._raised: set[ast.Call] = set()
        self.found: dict[str, ast.Call] = {}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """A module of the SDK, or of the runtime."""
        if (node.module or "").split(".")[0] in _OUTSIDE:
            self._imported |= {each.asname or each.name for each in node.names} - _TELLING

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """What its objects are given and hold."""
        self._held.append(_held(node))
        self.generic_visit(node)
        self._held.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """What it is passed."""
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self._parameters.append({each.arg for each in given if _is_no_data(each.annotation)})
        for each in node.body:
            self.visit(each)
        self._parameters.pop()

    def visit_Raise(self, node: ast.Raise) -> None:
        """An error that is made is no seam."""
        if isinstance(node.exc, ast.Call):
            self._raised.add(node.exc)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """The calls themselves; what a module does as it is imported, it does but once."""
        self.generic_visit(node)
        if self._parameters and node not in self._raised and self._is_seam(node.func):
            self.found[f"{self._name}:{node.lineno}:{node.col_offset}"] = node

    def _is_seam(self, called: ast.expr) -> bool:
        steps: list[str] = []
        while isinstance(called, ast.Attribute):
            steps.append(called.attr)
            called = called.value
        if not isinstance(called, ast.Name):
            return False
        passed = any(called.id in each for each in self._parameters)
        if called.id == "self":
            return bool(steps) and any(steps[-1] in each for each in self._held)
        if not steps:
            return passed or called.id in self._imported
        return passed or called.id in self._imported or called.id in _WORLD


def _held(node: ast.ClassDef) -> set[str]:
    """Attributes that are set in the making of an object, save locks and the like."""
    held = {
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and _is_no_data(each.annotation)
    }
    for function in ast.walk(node):
        if not isinstance(function, ast.FunctionDef) or function.name != "__init__":
            continue
        data = {
            each.arg
            for each in [*function.args.args, *function.args.kwonlyargs]
            if not _is_no_data(each.annotation)
        }
        for step in ast.walk(function):
            targets, value = _assigned(step)
            told = isinstance(step, ast.AnnAssign) and _is_no_data(step.annotation)
            if value is None or (_is_own(value, data) and not told):
                continue
            for target in targets:
                held |= {
                    each.attr
                    for each in ast.walk(target)
                    if isinstance(each, ast.Attribute)
                    and isinstance(each.value, ast.Name)
                    and each.value.id == "self"
                }
    return held


def _assigned(step: ast.AST) -> tuple[list[ast.expr], ast.expr | None]:
    if isinstance(step, ast.Assign):
        return step.targets, step.value
    if isinstance(step, ast.AnnAssign):
        return [step.target], step.value
    return [], None


def _is_own(value: ast.expr, data: set[str]) -> bool:
    """A lock, a queue, a number, or what was given as data."""
    if isinstance(value, ast.Name):
        return value.id in data
    root = value.func if isinstance(value, ast.Call) else value
    while isinstance(root, ast.Attribute):
        root = root.value
    named = isinstance(root, ast.Name) and root.id in _OWN | {"set", "dict", "list"}
    return named or isinstance(value, (ast.Constant, ast.Dict, ast.List, ast.Set))


def _is_no_data(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    root = annotation
    while isinstance(root, (ast.Subscript, ast.BinOp, ast.Attribute)):
        root = root.left if isinstance(root, ast.BinOp) else root.value
    return not (isinstance(root, ast.Name) and root.id in _DATA | _OWN)
