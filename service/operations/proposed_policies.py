"""Policies that somebody proposes: checked as the tenant's own, decided with, and never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from service.cedar.binding import bind
from service.cedar.statement import Problem, parse
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from service.cedar.compiled import CompiledPolicies
    from service.domain.tenants import Tenant
    from service.ports.authorizer import Proposed

MOST_PROPOSED: Final = 10
MOST_CHARACTERS: Final = 4000
"""Of one proposed policy; a store takes 10,000 bytes (Verified Permissions, "Quotas")."""
MOST_LEFT_OUT: Final = 20
FIELD: Final = "policies"


def changed_copy(copy: CompiledPolicies, tenant: Tenant, proposed: Proposed) -> CompiledPolicies:
    """The copy as it would be with what is proposed; the copy itself stays as it is.

    Raises:
        InvalidRequestError: a policy does not parse, or the schema does not know what it speaks of,
            or one that is to be left out is not there.
    """
    ids = {name: one for one, name in tenant.policy_names.items()}
    known = copy.policies
    without = frozenset(ids.get(name, name) for name in proposed.without)
    if missing := sorted(without - known):
        raise InvalidRequestError(f"{FIELD}.without", f"the tenant has no policy `{missing[0]}`")
    added: dict[str, str] = {}
    for name, text in proposed.added.items():
        statement = parse(name, text)
        if isinstance(statement, Problem):
            raise InvalidRequestError(f"{FIELD}.added", str(statement))
        if statement.is_template:
            words = "a blank like `?principal` is for templates: write who is meant"
            raise InvalidRequestError(f"{FIELD}.added", str(statement.problem(words)))
        if found := copy.problems(statement):
            raise InvalidRequestError(
                f"{FIELD}.added", "; ".join(str(problem) for problem in found)
            )
        added[ids.get(name, name)] = bind(text, tenant=tenant.id, pool_id=tenant.pool_id)
    return copy.changed(added, without=without)
