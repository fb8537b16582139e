"""Finds policies that can never apply, and conditions that are always true or always false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.policies.files.cedar_text import expression_text
from infra.policies.files.conditions import (
    LIMIT,
    AbsentError,
    Conditions,
    TooManyError,
    clauses_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.policies.files.conditions import Node
    from infra.policies.files.vocabulary import Environment, Schema
    from service.cedar.statement import Problem, Statement


def problems(
    statement: Statement, environments: Sequence[Environment], schema: Schema
) -> Iterator[Problem]:
    """What is wrong with when a statement applies.

    Args:
        statement: a valid policy or template.
        environments: the kinds of requests that its scope leaves, at least one.
        schema: of its attributes.
    """
    scope = list(_scope(statement.est))
    environments = _distinct(environments, statement.est)
    bodies = [(one["kind"] == "when", one["body"]) for one in statement.est["conditions"]]
    try:
        applies, seen = _seen(scope, bodies, environments, schema)
        if not applies:
            yield _never(statement, scope, bodies, environments, schema)
            return
    except TooManyError:
        words = (
            f"more than {LIMIT} combinations of what its conditions look at: whether it can apply, "
            "and whether each of them can be both true and false, is not known; split the policy"
        )
        yield statement.problem(words)
        return
    constants = _Constants(seen=seen, environments=environments, schema=schema)
    for node, told in (found for _, body in bodies for found in constants.of(body)):
        words = (
            f"`{expression_text(node)}` is always {'true' if told else 'false'} where it is asked"
        )
        yield statement.problem(f"{words}: leave it out", mentions=_mentions(node))


def _seen(
    scope: Sequence[Node],
    bodies: Sequence[tuple[bool, Node]],
    environments: Sequence[Environment],
    schema: Schema,
) -> tuple[bool, Mapping[int, set[bool]]]:
    """Whether the policy applies to anything, and what each part of its conditions came to."""
    applied: list[bool] = []
    seen: dict[int, set[bool]] = {}
    for environment in environments:
        found = Conditions([*scope, *(body for _, body in bodies)], environment, schema)

        def evaluate(found: Conditions = found) -> None:
            try:
                applied.append(
                    all(map(found.holds, scope))
                    and all(found.holds(body) is wanted for wanted, body in bodies)
                )
            except AbsentError:
                return

        found.each(evaluate)
        for node, results in found.seen.items():
            seen.setdefault(node, set()).update(results)
    return any(applied), seen


@dataclass(frozen=True, kw_only=True)
class _Constants:
    """Finds the parts of conditions that always come to the same.

    Attributes:
        seen: id of each part -> what it came to where it was asked.
        environments: the kinds of requests.
        schema: of the attributes.
    """

    seen: Mapping[int, set[bool]]
    environments: Sequence[Environment]
    schema: Schema

    def of(self, node: Node) -> Iterator[tuple[Node, bool]]:
        """The largest such parts; of one that is so by a part of it alone, that part."""
        results = self.seen.get(id(node), set())
        if len(results) == 1:
            yield self._least(node), True in results
            return
        for part in _parts(node):
            yield from self.of(part)

    def _least(self, node: Node) -> Node:
        for part in _parts(node):
            if self._is_constant(part):
                return self._least(part)
        return node

    def _is_constant(self, node: Node) -> bool:
        """Whether a part comes to the same also by itself."""
        found = {_by_itself(node, one, self.schema) for one in self.environments}
        return len(found) == 1 and found != {None}


def _by_itself(node: Node, environment: Environment, schema: Schema) -> bool | None:
    conditions = Conditions([node], environment, schema, lenient=True)
    conditions.each(lambda: conditions.holds(node))
    results = conditions.seen[id(node)]
    return None if len(results) > 1 else True in results


def _parts(node: Node) -> list[Node]:
    match node:
        case {"&&": {"left": left, "right": right}} | {"||": {"left": left, "right": right}}:
            return [left, right]
        case {"!": {"arg": inner}}:
            return [inner]
        case {"if-then-else": {"if": condition, "then": then, "else": other}}:
            # A branch that is `true` or `false` is what a choice is for.
            return [
                one for one in (condition, then, other) if one is condition or "Value" not in one
            ]
        case _:
            return []


def _never(
    statement: Statement,
    scope: Sequence[Node],
    bodies: Sequence[tuple[bool, Node]],
    environments: Sequence[Environment],
    schema: Schema,
) -> Problem:
    """Why a policy never applies: the fewest of its clauses that never hold together."""
    clauses = [*scope]
    for wanted, body in bodies:
        clauses += clauses_of(body if wanted else {"!": {"arg": body}})
    core = list(clauses)
    for clause in clauses:
        without = [one for one in core if one is not clause]
        if not _together(without, environments, schema):
            core = without
    told = [f"`{expression_text(clause)}`" for clause in core]
    last = core[-1] if core else None
    why = f"{told[0]} is never true" if len(told) == 1 else f"{_and(told)} never hold together"
    mentions = _mentions(last) if last else ()
    return statement.problem(f"it can never apply: {why}", mentions=mentions)


def _together(clauses: Sequence[Node], environments: Sequence[Environment], schema: Schema) -> bool:
    found: list[bool] = []
    for environment in environments:
        conditions = Conditions(clauses, environment, schema, lenient=True)
        conditions.each(
            lambda conditions=conditions: found.append(all(map(conditions.holds, clauses)))
        )
    return any(found)


def _distinct(environments: Sequence[Environment], est: Mapping[str, Any]) -> list[Environment]:
    """One of those that differ by an action only, unless a condition looks at the action."""
    if "'action'" in str(est["conditions"]):
        return list(environments)
    found: dict[tuple[str, str, str], Environment] = {}
    for one in environments:
        found.setdefault((one.principal, one.resource, str(one.context)), one)
    return list(found.values())


def _scope(est: Mapping[str, Any]) -> Iterator[Node]:
    """The scope of principal and resource as conditions; that of the action chose the requests."""
    for variable in ("principal", "resource"):
        scope, left = est[variable], {"Var": variable}
        for part in (scope, scope.get("in", {})):
            if "entity" in part:
                operator = "==" if part.get("op") == "==" else "in"
                yield {operator: {"left": left, "right": {"Value": {"__entity": part["entity"]}}}}
        if "entity_type" in scope:
            yield {"is": {"left": left, "entity_type": scope["entity_type"]}}


def _mentions(node: Node) -> tuple[str, ...]:
    text = expression_text(node)
    words = [part for part in text.replace("(", " ").split() if len(part) > 1]
    return (text, text.removeprefix("!").strip("()"), *words[-1:], *words)


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
