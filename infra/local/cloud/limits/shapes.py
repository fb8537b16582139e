"""Checks a call against all that botocore's model of the service says.

Types, required members, lengths and ranges, patterns, values of enumerations. botocore itself
checks types, required members and least lengths only, so a call that AWS refuses passes it. A shape
is compiled once into one function.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from infra.local.clients import MODELS
from infra.local.cloud.limits.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any, str, list[str]], None]

_SHOWN: Final = 60  # characters of a wrong value that the refusal repeats
# botocore takes the bucket out of the paths of S3's model itself as a client first calls an
# operation (`botocore.handlers.remove_bucket_from_url_paths_from_model`): clients of this process
# have theirs of `MODELS`, and what reads requests another.
_AS_AWS_WROTE_THEM: Final = {"s3": Loader()}
_INTEGERS: Final = {"integer": 2**31, "long": 2**63}


@cache
def service_model(service: str) -> ServiceModel:
    """The model of a service, by botocore's name for it, e.g. ``iot-data``."""
    loader = _AS_AWS_WROTE_THEM.get(service, MODELS)
    return ServiceModel(loader.load_service_model(service, "service-2"), service)


def problems(service: str, operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """What AWS would say against a call, each in its words; empty where nothing is wrong."""
    found: list[str] = []
    _checks(service, operation)(parameters, "", found)
    return found


@cache
def _checks(service: str, operation: str) -> Check:
    shape = service_model(service).operation_model(operation).input_shape
    return _free if shape is None else _compiled(shape, {})


def _compiled(shape: Shape, known: dict[str, Check]) -> Check:
    """The check of a shape; ``known`` holds those begun, for shapes that hold themselves."""
    if shape.name in known:
        return lambda value, path, found, name=shape.name: known[name](value, path, found)
    known[shape.name] = _free
    if isinstance(shape, StructureShape):
        made = _structure(shape, known)
    elif isinstance(shape, ListShape):
        made = _list(shape, known)
    elif isinstance(shape, MapShape):
        made = _map(shape, known)
    elif isinstance(shape, StringShape):
        made = _string(shape)
    elif shape.type_name in _INTEGERS or shape.type_name in {"float", "double"}:
        made = _number(shape)
    elif shape.type_name == "boolean":
        made = _boolean
    else:  # blobs and timestamps: how they are written depends on the protocol
        made = _free
    known[shape.name] = made
    return made


def _free(_value: Any, _path: str, _found: list[str]) -> None:
    """Nothing to check."""


def _wrong(value: object, path: str, constraint: str) -> str:
    text = str(value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _structure(shape: StructureShape, known: dict[str, Check]) -> Check:
    if shape.is_document_type:
        return _free
    members = {name: _compiled(member, known) for name, member in shape.members.items()}
    required = tuple(shape.required_members)

    def check(value: Any, path: str, found: list[str]) -> None:
        if not isinstance(value, dict):
            found.append(_wrong(value, path, "Member must be a structure"))
            return
        start = f"{path}." if path else ""
        found.extend(
            f"Value null at '{start}{name}' failed to satisfy constraint: Member must not be null"
            for name in required
            if value.get(name) is None
        )
        for name, member in value.items():
            if member is not None and (check_member := members.get(name)) is not None:
                check_member(member, f"{start}{name}", found)

    return check


def _list(shape: ListShape, known: dict[str, Check]) -> Check:
    check_member, check_length = _compiled(shape.member, known), _length(shape)

    def check(value: Any, path: str, found: list[str]) -> None:
        if not isinstance(value, list):
            found.append(_wrong(value, path, "Member must be a list"))
            return
        check_length(value, path, found)
        for number, item in enumerate(value, 1):
            if item is not None:
                check_member(item, f"{path}.{number}.member", found)

    return check


def _map(shape: MapShape, known: dict[str, Check]) -> Check:
    check_key, check_member = _compiled(shape.key, known), _compiled(shape.value, known)
    check_length = _length(shape)

    def check(value: Any, path: str, found: list[str]) -> None:
        if not isinstance(value, dict):
            found.append(_wrong(value, path, "Member must be a map"))
            return
        check_length(value, path, found)
        for key, item in value.items():
            check_key(key, f"{path}.key", found)
            if item is not None:
                check_member(item, f"{path}.{key}", found)

    return check


def _length(shape: Shape) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, path: str, found: list[str]) -> None:
        if low is not None and len(value) < low:
            words = f"Member must have length greater than or equal to {low}"
            found.append(_wrong(value, path, words))
        if high is not None and len(value) > high:
            words = f"Member must have length less than or equal to {high}"
            found.append(_wrong(value, path, words))

    return check if low is not None or high is not None else _free


def _string(shape: StringShape) -> Check:
    check_length, pattern = _length(shape), shape.metadata.get("pattern")
    allowed = frozenset(shape.enum)

    def check(value: Any, path: str, found: list[str]) -> None:
        if not isinstance(value, str):
            found.append(_wrong(value, path, "Member must be a string"))
            return
        before = len(found)
        check_length(value, path, found)
        if allowed and value not in allowed:
            names = ", ".join(sorted(allowed))
            words = f"Member must satisfy enum value set: [{names}]"
            found.append(_wrong(value, path, words))
        # Compiled when first needed: most members of a call are hardly ever given.
        elif pattern and len(found) == before and compiled(pattern).fullmatch(value) is None:
            words = f"Member must satisfy regular expression pattern: {pattern}"
            found.append(_wrong(value, path, words))

    return check


def _number(shape: Shape) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    beyond = _INTEGERS.get(shape.type_name)

    def check(value: Any, path: str, found: list[str]) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and (beyond is not None or not isinstance(value, float)):
            kind = "an integer" if beyond else "a number"
            found.append(_wrong(value, path, f"Member must be {kind}"))
        elif (low is not None and value < low) or (beyond and value < -beyond):
            words = f"Member must have value greater than or equal to {low}"
            found.append(_wrong(value, path, words))
        elif (high is not None and value > high) or (beyond and value >= beyond):
            words = f"Member must have value less than or equal to {high}"
            found.append(_wrong(value, path, words))

    return check


def _boolean(value: Any, path: str, found: list[str]) -> None:
    if not isinstance(value, bool):
        found.append(_wrong(value, path, "Member must be a boolean"))
