"""Checks a request against the service model that botocore ships.

That is: types, required members, unions and constraints.

Each input shape is compiled once into one function, since a decision request passes through here
every time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, cast

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from .errors import Field, InvalidInputError, MalformedRequestError

Check = Callable[[Any, str, list[Field]], None]

# The model's own pattern for tokens has unescaped dots between three greedy groups: cubic time on
# 128 KiB of hostile input. A JWT has literal dots, which needs linear time.
_SAFE_PATTERNS: Final = {
    "[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+": (
        r"[A-Za-z0-9\-_=]+\.[A-Za-z0-9\-_=]+\.[A-Za-z0-9\-_=]+"
    ),
}
_INT64: Final = range(-(2**63), 2**63)
_INT32: Final = range(-(2**31), 2**31)


@cache
def service_model() -> ServiceModel:
    """The Verified Permissions model of the installed botocore."""
    return ServiceModel(
        Loader().load_service_model("verifiedpermissions", "service-2"), "verifiedpermissions"
    )


@cache
def operation_names() -> frozenset[str]:
    """Every operation that the model knows."""
    return frozenset(service_model().operation_names)


@cache
def modelled_errors(operation: str) -> frozenset[str]:
    """The error codes that the model lists for ``operation``."""
    return frozenset(
        shape.name for shape in service_model().operation_model(operation).error_shapes
    )


def check_input(operation: str, document: Mapping[str, Any]) -> None:
    """Refuse a request that the model does not allow.

    Unknown members of structures are ignored, as AWS does. Patterns must match the whole value.

    Raises:
        MalformedRequestError: a member has the wrong JSON type.
        InvalidInputError: a modelled constraint is broken; lists every field at fault.
    """
    problems: list[Field] = []
    _input_check(operation)(document, "", problems)
    if problems:
        raise InvalidInputError(*problems)


@cache
def _input_check(operation: str) -> Check:
    shape = service_model().operation_model(operation).input_shape
    assert shape is not None, operation  # noqa: S101 - every operation of this model has an input
    return _compile(shape, {})


def _compile(shape: Shape, known: dict[str, Check]) -> Check:
    """One check per shape name; recursive shapes (AttributeValue) use ``known`` for themselves."""
    if shape.name in known:
        return lambda value, path, problems, name=shape.name: known[name](value, path, problems)
    known[shape.name] = _unset
    match shape.type_name:
        case "structure":
            made = _structure(cast("StructureShape", shape), known)
        case "list":
            made = _list(cast("ListShape", shape), known)
        case "map":
            made = _map(cast("MapShape", shape), known)
        case "string":
            made = _string(cast("StringShape", shape))
        case "boolean":
            made = _typed(bool, "boolean")
        case "integer" | "long":
            made = _integer(shape)
        case unknown:
            raise NotImplementedError(f"the model has a member of type `{unknown}`")
    known[shape.name] = made
    return made


def _unset(_value: object, path: str, _problems: list[Field]) -> None:
    raise AssertionError(path)


def _wrong_type(path: str, expected: str) -> MalformedRequestError:
    return MalformedRequestError(f"Unexpected type at `{path or '/'}`: expected {expected}")


def _structure(shape: StructureShape, known: dict[str, Check]) -> Check:
    members = {name: _compile(member, known) for name, member in shape.members.items()}
    required = tuple(shape.required_members)
    is_union = bool(shape.is_tagged_union)

    def check(value: Any, path: str, problems: list[Field]) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object")
        for name in required:
            if value.get(name) is None:
                at = f"{path}/{name}"
                problems.append(
                    Field(
                        at,
                        f"Value null at '{at}' failed to satisfy constraint: "
                        "Member must not be null",
                    )
                )
        present = 0
        for name, member in value.items():
            if member is not None and (check_member := members.get(name)) is not None:
                present += 1
                check_member(member, f"{path}/{name}", problems)
        if is_union and present != 1:
            allowed = ", ".join(members)
            problems.append(
                Field(
                    path or "/",
                    f"Exactly one of the union's members must be set: {allowed}; {present} are set",
                )
            )

    return check


def _list(shape: ListShape, known: dict[str, Check]) -> Check:
    check_member = _compile(shape.member, known)
    check_length = _length(shape)

    def check(value: Any, path: str, problems: list[Field]) -> None:
        if not isinstance(value, list):
            raise _wrong_type(path, "an array")
        items = cast("list[Any]", value)
        check_length(len(items), path, problems)
        for number, item in enumerate(items):
            check_member(item, f"{path}/{number}", problems)

    return check


def _map(shape: MapShape, known: dict[str, Check]) -> Check:
    check_key, check_member = _compile(shape.key, known), _compile(shape.value, known)
    check_length = _length(shape)

    def check(value: Any, path: str, problems: list[Field]) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object")
        check_length(len(value), path, problems)
        for key, item in value.items():
            check_key(key, path, problems)
            check_member(item, f"{path}/{key}", problems)

    return check


def _length(shape: Shape) -> Callable[[int, str, list[Field]], None]:
    low, high = (
        cast("int", shape.metadata.get("min", 0)),
        cast("int | None", shape.metadata.get("max")),
    )
    limits = (
        f"between {low} and {high}, inclusive"
        if high is not None
        else f"greater than or equal to {low}"
    )

    def check(length: int, path: str, problems: list[Field]) -> None:
        if length < low or (high is not None and length > high):
            problems.append(
                Field(
                    path,
                    f"Value with length {length} at '{path}' failed to satisfy constraint: "
                    f"Member must have length {limits}",
                )
            )

    return check


def _string(shape: StringShape) -> Check:
    check_length = _length(shape)
    pattern = cast("str | None", shape.metadata.get("pattern"))
    matches = re.compile(_SAFE_PATTERNS.get(pattern, pattern)).fullmatch if pattern else None
    allowed = frozenset(shape.enum)
    bounded = "min" in shape.metadata or "max" in shape.metadata

    def check(value: Any, path: str, problems: list[Field]) -> None:
        if not isinstance(value, str):
            raise _wrong_type(path, "a string")
        before = len(problems)
        if bounded:
            check_length(len(value), path, problems)
        if matches is not None and len(problems) == before and matches(value) is None:
            problems.append(
                Field(
                    path,
                    f"Value at '{path}' failed to satisfy constraint: "
                    f"Member must satisfy regular expression pattern: {pattern}",
                )
            )
        if allowed and value not in allowed:
            names = ", ".join(sorted(allowed))
            problems.append(
                Field(
                    path,
                    f"Value at '{path}' failed to satisfy constraint: "
                    f"Member must satisfy enum value set: [{names}]",
                )
            )

    return check


def _integer(shape: Shape) -> Check:
    in_range = _INT64 if shape.type_name == "long" else _INT32
    low = cast("int | None", shape.metadata.get("min"))

    def check(value: Any, path: str, problems: list[Field]) -> None:
        if type(value) is not int or value not in in_range:
            raise _wrong_type(path, f"a {8 * (8 if in_range is _INT64 else 4)}-bit integer")
        if low is not None and value < low:
            problems.append(
                Field(
                    path,
                    f"Value at '{path}' failed to satisfy constraint: "
                    f"Member must be greater than or equal to {low}",
                )
            )

    return check


def _typed(kind: type, name: str) -> Check:
    def check(value: Any, path: str, _problems: list[Field]) -> None:
        if type(value) is not kind:
            raise _wrong_type(path, f"a {name}")

    return check
