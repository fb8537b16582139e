"""The house rules that Cedar's validator does not know: names, reasons, binding, sizes, a tenant's limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from infra.policies.binding import GROUP, TENANT, THIS_TENANT, USER, bind
from infra.policies.bundle import Problem
from infra.policies.statement import Statement, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_STATEMENT_BYTES: Final = 10_000  # quota of Verified Permissions: size of a policy
MAX_UNSPECIFIC_BYTES: Final = 200_000  # quota of Verified Permissions: all policies that name no resource, together
MAX_TEMPLATES: Final = 40  # quota of Verified Permissions: templates in a policy store
ID: Final = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")  # in decisions, audit and resource names
_LONGEST_POOL_ID: Final = "x" * 55  # docs: Cognito UserPoolIdType
_LONGEST_TENANT: Final = "t" * 32


def named_and_explained(statement: Statement, stem: str) -> Iterator[Problem]:
    """``@id`` is the file's name and the first line says why the policy is there."""
    if statement.id != stem:
        yield statement.problem(f'`@id("{stem}")` expected, the file\'s name; found `{statement.id}`', mentions="@id(")
    if ID.fullmatch(stem) is None:
        yield Problem(
            file=statement.file, line=0, words=f"`{stem}`: a name is a-z, 0-9 and single inner `-`, at most 64"
        )
    if not statement.why:
        yield Problem(
            file=statement.file, line=1, words="the first line must be a comment that says why the policy is there"
        )


def static(statement: Statement) -> Iterator[Problem]:
    """A static policy has no slot and no end."""
    if statement.is_template:
        yield statement.problem("a policy has no slot; a template stands in policies/templates", mentions="?")
    if statement.needs_until:
        yield statement.problem('only a template ends: `datetime("until")` is written by a grant', mentions='"until"')


def template(statement: Statement) -> Iterator[Problem]:
    """A template is a permit with both slots: Verified Permissions refuses an open principal or resource."""
    if statement.effect != "permit":
        yield statement.problem("a template must be a permit: forbids hold for everybody, from the first moment")
    for variable in ("principal", "resource"):
        if statement.est[variable].get("slot") != f"?{variable}":
            yield statement.problem(f"a template must bind `?{variable}` in its scope", mentions=variable)


def bindable(statement: Statement) -> Iterator[Problem]:
    """Every group, user and tenant is bound to the tenant's pool, and the result fits into the quota."""
    for kind, name in statement.entities():
        if kind == TENANT and name != THIS_TENANT:
            literal = f'{TENANT}::"{name}"'
            yield statement.problem(f'`{literal}`: a policy knows only `{TENANT}::"{THIS_TENANT}"`', mentions=literal)
        if kind in (GROUP, USER) and "|" in name:
            literal = f'{kind}::"{name}"'
            yield statement.problem(
                f"`{literal}`: write the bare name, the pool is added at stamping", mentions=literal
            )
    bound_text = bind(statement.text, tenant=_LONGEST_TENANT, pool_id=_LONGEST_POOL_ID)
    if (size := len(bound_text.encode())) > MAX_STATEMENT_BYTES:
        yield Problem(file=statement.file, line=0, words=f"{size} bytes once bound; at most {MAX_STATEMENT_BYTES}")
    bound = parse(statement.file, bound_text)
    if isinstance(bound, Problem):
        yield bound
        return
    for kind, name in bound.entities():
        if (kind in (GROUP, USER) and not name.startswith(_LONGEST_POOL_ID)) or (
            kind == TENANT and name == THIS_TENANT
        ):
            # fail closed: a group that stays unbound would match nobody, in a forbid too
            words = f'`{kind}` `{name}` cannot be bound: write it plainly, as in {kind}::"name"'
            yield statement.problem(words, mentions=name)


def all_together(statements: Iterable[Statement]) -> Iterator[Problem]:
    """The policies that name no resource fit into their common quota."""
    sizes = [
        len(bind(statement.text, tenant=_LONGEST_TENANT, pool_id=_LONGEST_POOL_ID).encode())
        for statement in statements
        if _is_open(statement.est["resource"])
    ]
    if sum(sizes) > MAX_UNSPECIFIC_BYTES:
        words = f"{len(sizes)} policies name no resource, {sum(sizes)} bytes together; at most {MAX_UNSPECIFIC_BYTES}"
        yield Problem(file="policies", line=0, words=words)


def of_a_tenant(statement: Statement, groups: frozenset[str] | None) -> Iterator[Problem]:
    """A tenant's policy names only groups that the tenant has, and a permit says who or what.

    The base forbids stay whatever a tenant writes, but nothing should be open to everybody by accident.
    ``principal is Fleet::User`` is no constraint, since there is no other type of principal.
    """
    for kind, name in statement.entities():
        if kind == GROUP and groups is not None and name not in groups:
            literal = f'{GROUP}::"{name}"'
            # fail closed: a forbid for a group that nobody is in forbids nothing
            words = f"`{literal}` is no group of this tenant; it has {', '.join(sorted(groups))}"
            yield statement.problem(words, mentions=literal)
    if statement.effect == "permit" and _is_open(statement.est["principal"]) and _is_open(statement.est["action"]):
        yield statement.problem(
            "a permit must constrain principal or action: this one is open to everybody for everything"
        )


def _is_open(scope: dict[str, Any]) -> bool:
    return scope["op"] == "All" or (scope["op"] == "is" and "in" not in scope)
