"""Rules that Cedar's validator does not know: names, reasons, binding, sizes, a tenant's limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from service.cedar.binding import THIS_TENANT, bind
from service.cedar.entities import GROUP, TENANT, USER
from service.cedar.statement import Problem, Statement, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.policies.files.schema_json import Actions

MAX_STATEMENT_BYTES: Final = 10_000  # quota of Verified Permissions: size of a policy
# Half of what a store may hold: while an update runs, each new policy stands beside the old one
# (see `update_order`). Quota of Verified Permissions: 200,000 for all that name no resource.
MAX_UNSPECIFIC_BYTES: Final = 100_000
MAX_TEMPLATES: Final = 20  # quota of Verified Permissions: 40 templates in a policy store
# In decisions, audit and resource names.
ID: Final = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
VIEW: Final = "View"  # the action group that changes nothing
_LONGEST_POOL_ID: Final = "x" * 55  # docs: Cognito UserPoolIdType
_LONGEST_TENANT: Final = "t" * 32


def named_and_explained(statement: Statement, stem: str) -> Iterator[Problem]:
    """``@id`` is the file's name and the first line says why the policy is there."""
    if statement.id != stem:
        yield statement.problem(
            f'`@id("{stem}")` expected, the file\'s name; found `{statement.id}`', mentions="@id("
        )
    if ID.fullmatch(stem) is None:
        yield Problem(
            file=statement.file,
            line=0,
            words=f"`{stem}`: a name is a-z, 0-9 and single inner `-`, at most 64",
        )
    if not statement.why:
        yield Problem(
            file=statement.file,
            line=1,
            words="the first line must be a comment that says why the policy is there",
        )


def static(statement: Statement) -> Iterator[Problem]:
    """A static policy has no slot and no end."""
    if statement.is_template:
        yield statement.problem(
            "a policy has no slot; a template stands in policies/templates", mentions="?"
        )
    if statement.needs_until:
        yield statement.problem(
            'only a template ends: `datetime("until")` is written by a grant', mentions='"until"'
        )


def template(statement: Statement) -> Iterator[Problem]:
    """A template is a permit with both slots: a store refuses an open principal or resource."""
    if statement.effect != "permit":
        yield statement.problem(
            "a template must be a permit: forbids hold for everybody, from the first moment"
        )
    for variable in ("principal", "resource"):
        if statement.est[variable].get("slot") != f"?{variable}":
            yield statement.problem(
                f"a template must bind `?{variable}` in its scope", mentions=variable
            )


def bindable(statement: Statement) -> Iterator[Problem]:
    """Every group, user and tenant can be bound to a pool, and the result fits into the quota."""
    for uid in statement.entities():
        literal = str(uid)
        if uid.type == TENANT and uid.id != THIS_TENANT:
            yield statement.problem(
                f'`{literal}`: a policy knows only `{TENANT}::"{THIS_TENANT}"`', mentions=literal
            )
        if uid.type in (GROUP, USER) and "|" in uid.id:
            yield statement.problem(
                f"`{literal}`: write the bare name, the pool is added at stamping", mentions=literal
            )
    bound_text = bind(statement.text, tenant=_LONGEST_TENANT, pool_id=_LONGEST_POOL_ID)
    if (size := len(bound_text.encode())) > MAX_STATEMENT_BYTES:
        yield Problem(
            file=statement.file,
            line=0,
            words=f"{size} bytes once bound; at most {MAX_STATEMENT_BYTES}",
        )
    bound = parse(statement.file, bound_text)
    if isinstance(bound, Problem):
        yield bound
        return
    for uid in bound.entities():
        if (uid.type in (GROUP, USER) and not uid.id.startswith(_LONGEST_POOL_ID)) or (
            uid.type == TENANT and uid.id == THIS_TENANT
        ):
            # Fail closed: a group that stays unbound would match nobody, in a forbid too.
            plainly = f'write it plainly, as in {uid.type}::"name"'
            words = f"`{uid.type}` `{uid.id}` cannot be bound: {plainly}"
            yield statement.problem(words, mentions=uid.id)


def all_together(statements: Iterable[Statement]) -> Iterator[Problem]:
    """The policies that name no resource fit into their common quota."""
    sizes = [
        len(bind(statement.text, tenant=_LONGEST_TENANT, pool_id=_LONGEST_POOL_ID).encode())
        for statement in statements
        if _is_open(statement.est["resource"])
    ]
    if sum(sizes) > MAX_UNSPECIFIC_BYTES:
        words = (
            f"{len(sizes)} policies name no resource, {sum(sizes)} bytes together; at most "
            f"{MAX_UNSPECIFIC_BYTES}, half of what a policy store may hold: an update that changes "
            "them needs old and new together"
        )
        yield Problem(file="policies", line=0, words=words)


def too_many_templates(count: int) -> str:
    """Why so many templates cannot be stamped, empty if they can."""
    if count <= MAX_TEMPLATES:
        return ""
    return (
        f"{count} templates, one for each template and end; at most {MAX_TEMPLATES}, half of what "
        "a policy store may hold: an update that changes them needs old and new together. Remove "
        "grants that have ended, or let several end at the same time"
    )


def of_a_tenant(statement: Statement, actions: Actions) -> Iterator[Problem]:
    """A tenant's permit to change something says who.

    The base forbids stay whatever a tenant writes, but nothing should be open to everybody by
    accident.
    ``principal is Fleet::User`` is no constraint, since there is no other type of principal.
    """
    if statement.effect != "permit" or not _is_open(statement.est["principal"]):
        return
    if _is_open(statement.est["action"]):
        yield statement.problem(
            "a permit must constrain principal or action: this one is open to everybody for "
            "everything"
        )
    elif beyond := sorted(actions.of(statement.est["action"]) - actions.of_group(VIEW)):
        yield statement.problem(
            f"a permit that is open to everybody may give no more than {VIEW}; this one gives "
            f"{', '.join(beyond)}: "
            'say who, as in `principal in Fleet::Group::"..."`'
        )


def _is_open(scope: dict[str, Any]) -> bool:
    return scope["op"] == "All" or (scope["op"] == "is" and "in" not in scope)
