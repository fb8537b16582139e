"""Operations on a store's schema."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

import cedarpy

from .errors import Field, InvalidInputError, NotFoundError, QuotaExceededError
from .records import StoredSchema
from .schema_shapes import SchemaShapes

if TYPE_CHECKING:
    from .call import Call

MAX_SCHEMA_BYTES: Final = 100_000
MAX_NAMESPACES: Final = 100
MAX_NAMESPACE_BYTES: Final = 100
MAX_EXPANDED_TYPES: Final = 100_000

_RESERVED: Final = frozenset({"aws", "amazon", "cedar"})
_POSITION: Final = re.compile(r" at line \d+ column \d+$")


def put_schema(call: Call) -> dict[str, Any]:
    """PutSchema: ``{}`` declares nothing. Policies that are there are not checked again."""
    store = call.store()
    text = call.request["definition"]["cedarJson"]
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        raise QuotaExceededError(
            f"Schema size limit of {MAX_SCHEMA_BYTES} bytes exceeded.", resource_type="SCHEMA"
        )
    namespaces = _namespaces(text)
    _check_expansion(text)
    try:
        cedarpy.Schema.from_json_str(text)
    except ValueError as error:
        raise _refused(_POSITION.sub("", str(error))) from error
    held = call.state.schemas.get(store.id)
    schema = StoredSchema(
        store=store.id,
        text=text,
        namespaces=namespaces,
        created=held.created if held is not None else call.now,
        updated=call.now,
    )
    call.state.commit(put=[schema])
    return _summary(schema)


def get_schema(call: Call) -> dict[str, Any]:
    """GetSchema: the text as it was put."""
    store = call.store()
    schema = call.state.schemas.get(store.id)
    if schema is None:
        raise NotFoundError("Schema does not exist.", resource_id=store.id, resource_type="SCHEMA")
    return _summary(schema) | {"schema": schema.text}


def _summary(schema: StoredSchema) -> dict[str, Any]:
    return {
        "policyStoreId": schema.store,
        "namespaces": schema.namespaces,
        "createdDate": schema.created,
        "lastUpdatedDate": schema.updated,
    }


def _namespaces(text: str) -> list[str]:
    """The schema's top-level keys, in its order."""
    try:
        document = json.loads(text, object_pairs_hook=_named_members)
    except (ValueError, RecursionError) as error:
        # A duplicate or empty name has its own words; anything else is no JSON.
        words = (
            str(error)
            if isinstance(error, _MemberNameError)
            else "Provided schema is not a valid JSON object."
        )
        raise _refused(words) from error
    if not isinstance(document, dict):
        raise _refused("Provided schema is not a valid JSON object.")
    namespaces = list(cast("dict[str, Any]", document))
    if len(namespaces) > MAX_NAMESPACES:
        raise QuotaExceededError(
            f"Namespace limit of {MAX_NAMESPACES} exceeded.", resource_type="SCHEMA"
        )
    for name in namespaces:
        size = len(name.encode())
        if not 1 <= size <= MAX_NAMESPACE_BYTES:
            raise _refused(
                f"Namespace lengths must be at least 1 and at most {MAX_NAMESPACE_BYTES} bytes "
                "in size, "
                f"but '{name}' is {size} bytes in size."
            )
        if name.partition("::")[0].lower() in _RESERVED:
            raise _refused(f"The namespace `{name}` is reserved.")
    return namespaces


def _check_expansion(text: str) -> None:
    """Refuse common types that would fill the memory: each uses another twice, and so on."""
    try:
        size = SchemaShapes(json.loads(text)).expanded_size()
    except (AttributeError, TypeError):
        return  # not of a schema's form: Cedar says how
    if size > MAX_EXPANDED_TYPES:
        raise _refused(f"The types of the schema, written out, are more than {MAX_EXPANDED_TYPES}.")


class _MemberNameError(ValueError):
    """A JSON object of the schema has an empty or a repeated member name."""


def _named_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses two members of one name: readers would see different ones, Cedar none."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _MemberNameError("Provided schema has a duplicate key name.")
    for name, content in pairs:
        if not name and not _is_namespace(content):
            raise _MemberNameError("Provided schema has an empty key name.")
    return members


def _is_namespace(content: object) -> bool:
    """An empty name there has its own message, on the length of namespaces."""
    return isinstance(content, dict) and "entityTypes" in content


def _refused(words: str) -> InvalidInputError:
    return InvalidInputError(Field("/schema", words))
