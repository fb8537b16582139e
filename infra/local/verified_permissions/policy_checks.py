"""May this statement enter the store? Form, slots, size, and the schema where the store is STRICT.

The field paths and messages are those that AWS was seen to give (deploy evidence of
badmintoncryer/cdk-preflight).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cedarpy

from .errors import Field, InvalidInputError, QuotaExceededError, ResourceType
from .policy_sets import statement_of
from .statements import Statement, StatementError, link, parse, scope_entity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .call import Call
    from .records import PolicyStore, Template

MAX_STATEMENT_BYTES: Final = 10_000
MAX_BYTES_PER_RESOURCE: Final = 200_000

_STATIC_PATH: Final = "/definition/static/statement"
_TEMPLATE_PATH: Final = "/template/statement"


def static_statement(call: Call, store: PolicyStore, text: str) -> Statement:
    """A statement that may be a static policy of ``store``.

    Raises:
        InvalidInputError: it does not parse, has a slot, or does not validate.
        QuotaExceededError: it is too large.
    """
    statement = _parsed(text, _STATIC_PATH, "POLICY")
    if statement.kind == "template":
        slot = min(statement.slots)[2]
        raise InvalidInputError(
            Field(
                _STATIC_PATH,
                f"expected a static policy, got a template containing the slot ?{slot}.",
            )
        )
    _validate(call, store, text, "/definition")
    return statement


def template_statement(call: Call, store: PolicyStore, text: str) -> Statement:
    """A statement that may be a template of ``store``.

    Raises:
        InvalidInputError: it does not parse, has no slot, leaves principal or resource open, or
            does not validate.
        QuotaExceededError: it is too large.
    """
    statement = _parsed(text, _TEMPLATE_PATH, "POLICY_TEMPLATE")
    if statement.kind == "static":
        raise InvalidInputError(Field(_TEMPLATE_PATH, "expected a template, got a static policy."))
    for name, constraint in (("principal", statement.principal), ("resource", statement.resource)):
        if constraint["op"] == "All":
            raise InvalidInputError(
                Field(
                    _TEMPLATE_PATH,
                    f"A template must constrain both principal and resource; {name} is open.",
                )
            )
    _validate(call, store, text, "/template")
    return statement


def link_statement(
    call: Call,
    store: PolicyStore,
    template: Template,
    *,
    principal: dict[str, str] | None,
    resource: dict[str, str] | None,
) -> Statement:
    """The static statement that a template is for the given entities.

    Raises:
        InvalidInputError: an entity is missing or too many, is no Cedar name, or the result does
            not validate.
    """
    if principal is None and resource is None:
        raise InvalidInputError(
            message="No principal and no resource was provided. At least one must be provided"
        )
    form = parse(template.statement)
    for name, given in (("principal", principal), ("resource", resource)):
        if (given is not None) != (name in form.slot_names):
            raise InvalidInputError(
                Field(f"/definition/templateLinked/{name}", f"Invalid Parameter: {name}.")
            )
    try:
        statement = parse(link(form, principal=principal, resource=resource))
    except StatementError as error:
        raise InvalidInputError(Field("/definition/templateLinked", f"{error}.")) from error
    _validate(call, store, statement.text, "/definition")
    return statement


def check_fixed_parts(old: Statement, new: Statement, path: str) -> None:
    """An update may change action and conditions only.

    Raises:
        InvalidInputError: effect, principal or resource differ.
    """
    for part in ("effect", "principal", "resource"):
        if getattr(old, part) != getattr(new, part):
            raise InvalidInputError(
                Field(path, f"Invalid update: the {part} of a policy cannot be changed.")
            )


def check_room(
    call: Call, store: PolicyStore, *, new: Statement, instead_of: str | None = None
) -> None:
    """Policies of one resource, or of none, may have 200,000 bytes together.

    Raises:
        QuotaExceededError: the new statement does not fit.
    """
    resource = scope_entity(new.resource)
    taken = sum(
        len(other.text.encode())
        for policy in call.state.policies.get(store.id, {}).values()
        if policy.id != instead_of
        and scope_entity((other := statement_of(call.state, policy)).resource) == resource
    )
    if taken + len(new.text.encode()) > MAX_BYTES_PER_RESOURCE:
        raise QuotaExceededError(
            f"Policy size per resource limit of {MAX_BYTES_PER_RESOURCE} bytes exceeded.",
            resource_type="POLICY",
        )


def _parsed(text: str, path: str, resource_type: ResourceType) -> Statement:
    if len(text.encode()) > MAX_STATEMENT_BYTES:
        raise QuotaExceededError(
            f"Policy size limit of {MAX_STATEMENT_BYTES} bytes exceeded.",
            resource_type=resource_type,
        )
    try:
        return parse(text)
    except StatementError as error:
        # AWS says only the first message; the parser's words follow, since a laptop has no console
        # to look them up.
        raise InvalidInputError(
            Field(path, "Failed to validate policy body."), Field(path, f"{error}")
        ) from error


def _validate(call: Call, store: PolicyStore, text: str, path: str) -> None:
    if store.mode != "STRICT":
        return
    schema = call.decider.schema(call.state, store.id)
    if schema is None:
        raise InvalidInputError(
            Field(path, "No schema present - automatically failing all validation.")
        )
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        raise InvalidInputError(*_fields(path, (error.error for error in result.errors)))


def _fields(path: str, messages: Iterable[str]) -> list[Field]:
    listed = [Field(path, f"{message}.") for message in messages]
    return listed or [Field(path, "Failed to validate policy body.")]
