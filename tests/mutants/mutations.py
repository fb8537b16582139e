"""Makes the mutants of a file: one small change each, as a slip of the hand would make it."""

from __future__ import annotations

import ast
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SWAPPED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_QUIET: Final = frozenset(
    {"log", "logger", "event"}
)  # what is only logged is no behaviour of a critical file


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one file.

    Attributes:
        function: qualified name of the function that it is in, or ``<module>``.
        line: of the file before, from 1.
        before: the text that is replaced.
        after: what stands there instead.
        source: the whole file after the change.
        nth: of those in the function that are told by the same words, from 1.
    """

    function: str
    line: int
    before: str
    after: str
    source: str
    nth: int = 1

    @property
    def key(self) -> str:
        """What tells it from the others, also after lines have moved."""
        same = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.function}: `{self.before}` -> `{self.after}`{same}"


def mutants(source: str) -> list[Mutant]:
    """Every mutant of a file that still compiles, in the order of the text.

    Args:
        source: text of a Python file.
    """
    found: dict[str, Mutant] = {}
    for function, node, after in _changes(ast.parse(source), "<module>"):
        before = ast.get_source_segment(source, node)
        if before is None or before == after:
            continue
        start, end = _offset(source, node.lineno, node.col_offset), _end(source, node)
        changed = source[:start] + after + source[end:]
        try:
            compile(changed, "<mutant>", "exec")
        except SyntaxError:
            continue
        mutant = Mutant(
            function=function, line=node.lineno, before=before, after=after, source=changed
        )
        found.setdefault(f"{node.lineno} {node.col_offset} {after}", mutant)
    return _numbered(sorted(found.values(), key=lambda mutant: mutant.line))


def sample(of: list[Mutant], most: int, seed: str) -> list[Mutant]:
    """At most `most` of them, spread over the file: as many of each tenth of it as can be."""
    chance = random.Random(seed)  # noqa: S311 - a choice of tests, no secret
    left = [chance.sample(part, len(part)) for part in _parts(of, most)]
    chosen: list[Mutant] = []
    while len(chosen) < most and any(left):
        chosen += [part.pop() for part in left if part]
    return sorted(chosen[:most], key=lambda mutant: mutant.line)


def _numbered(of: list[Mutant]) -> list[Mutant]:
    seen: Counter[str] = Counter()
    numbered: list[Mutant] = []
    for mutant in of:
        seen[mutant.key] += 1
        numbered.append(replace(mutant, nth=seen[mutant.key]))
    return numbered


def _parts(of: list[Mutant], number: int) -> list[list[Mutant]]:
    return [of[len(of) * i // number : len(of) * (i + 1) // number] for i in range(number)]


def _changes(node: ast.AST, function: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Of a tree: the function, the node whose text is replaced, and the text instead."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = child.name if function == "<module>" else f"{function}.{child.name}"
            yield from _changes(child, inner)
            continue
        if isinstance(child, ast.If) and (
            ast.unparse(child.test) == "TYPE_CHECKING" or _only_logs(child)
        ):
            continue
        if _logs(child):
            continue
        for changed, after in _changes_of(child):
            yield function, changed, after
        yield from _changes(child, function)


def _changes_of(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp() | ast.BinOp():
            yield from _changes_of_operator(node)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _negated(test)
        case ast.comprehension(ifs=conditions):
            for condition in conditions:
                yield from _negated(condition)
        case ast.Raise():
            yield node, "pass"
        case ast.Expr(value=ast.Call(func=called) | ast.Await(value=ast.Call(func=called))):
            if _root(called) not in _QUIET:
                yield node, "pass"
        case _:
            return


def _negated(condition: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    # a comparison or a `not` has a mutant of its own that is the same
    if not isinstance(condition, (ast.Compare, ast.UnaryOp)):
        yield condition, f"(not ({ast.unparse(condition)}))"


def _changes_of_operator(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            swapped = ast.Compare(left=left, ops=[_SWAPPED[type(op)]()], comparators=[right])
            yield node, f"({ast.unparse(swapped)})"
        case ast.BoolOp(op=op, values=values):
            other: ast.boolop = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield node, f"({ast.unparse(ast.BoolOp(op=other, values=values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=ast.Constant(value=int(number))):
            one_off = ast.BinOp(left=left, op=node.op, right=ast.Constant(value=number + 1))
            yield node, f"({ast.unparse(one_off)})"
        case _:
            return


def _only_logs(node: ast.If) -> bool:
    return all(_logs(each) for each in node.body) and not node.orelse


def _logs(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and _root(node.value) in _QUIET
    )


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def _offset(source: str, line: int, column: int) -> int:
    """Index of a position; ``column`` counts bytes of UTF-8, as in ``ast``."""
    lines = source.splitlines(keepends=True)
    before = lines[line - 1].encode()[:column].decode()
    return sum(len(text) for text in lines[: line - 1]) + len(before)


def _end(source: str, node: ast.expr | ast.stmt) -> int:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return _offset(source, node.end_lineno, node.end_col_offset)
