"""All that is wrong with what a policy means: unknown names, Cedar's own words, never applying."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from infra.policies.files import can_apply
from infra.policies.files.known_names import KnownNames
from infra.policies.files.scope import environments, why_none
from infra.policies.files.vocabulary import schema_of
from service.cedar.statement import Problem, parse

if TYPE_CHECKING:
    from infra.policies.files.vocabulary import Lists, Schema
    from service.cedar.statement import Statement

_NO_ACTION: Final = "unable to find an applicable action"


def problems(statement: Statement, schema: Schema, lists: Lists) -> list[Problem]:
    """What is wrong with one statement.

    Args:
        statement: a policy or template.
        schema: what it may speak of.
        lists: what the tenant's file, or the base, lists beside the schema.
    """
    asked = environments(statement.est, schema)
    names = KnownNames(statement, schema, lists, asked)
    unknown = names.problems()
    invalid = [
        problem
        for problem in _invalid(statement.file, statement.text, schema.text)
        # Said better already, or below.
        if _NO_ACTION not in problem.words
        and not any(name in problem.words for name in names.named)
    ]
    if unknown or invalid:  # of what is not valid nothing more can be said
        return [*unknown, *invalid]
    if not asked:
        words = f"it can never apply: {why_none(statement.est, schema)}"
        return [statement.problem(words)]
    return list(_inapplicable(statement.file, statement.text, schema.text))


# What these two find depends on file and schema alone, and the base is read once for each tenant.
@lru_cache(maxsize=256)
def _invalid(file: str, text: str, schema_text: str) -> tuple[Problem, ...]:
    statement = parse(file, text)
    if isinstance(statement, Problem):
        return (statement,)
    return tuple(statement.validate(schema_of(schema_text).validator))


@lru_cache(maxsize=256)
def _inapplicable(file: str, text: str, schema_text: str) -> tuple[Problem, ...]:
    statement, schema = parse(file, text), schema_of(schema_text)
    if isinstance(statement, Problem):
        return (statement,)
    asked = environments(statement.est, schema)
    return tuple(can_apply.problems(statement, asked, schema))
