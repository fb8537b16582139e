"""All that is wrong with what a policy means: unknown names, Cedar's own words, never applying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.policies.files.known_names import KnownNames
from infra.policies.files.scope import environments, why_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    import cedarpy

    from infra.policies.files.vocabulary import Lists, Schema
    from service.cedar.statement import Problem, Statement

_NO_ACTION: Final = "unable to find an applicable action"


def problems(
    statement: Statement, validator: cedarpy.Schema, schema: Schema, lists: Lists
) -> Iterator[Problem]:
    """What is wrong with one statement.

    Args:
        statement: a policy or template.
        validator: the schema for Cedar's validator.
        schema: the same schema, with what its annotations list.
        lists: what the tenant's file, or the base, lists beside the schema.
    """
    asked = environments(statement.est, schema)
    names = KnownNames(statement, schema, lists, asked)
    unknown = names.problems()
    yield from unknown
    for problem in statement.validate(validator):
        # Said better above or below.
        if _NO_ACTION in problem.words or any(name in problem.words for name in names.named):
            continue
        yield problem
    if not asked and not unknown:
        yield statement.problem(f"it can never apply: {why_none(statement.est, schema)}")
