"""Requests of the query protocols (``query``, ``ec2``), and texts as the types of their shapes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from botocore.model import ListShape, MapShape, Shape, StructureShape

from infra.local.cloud.limits.shapes import service_model

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENTRY: Final = ("key", "value")
_WHOLE: Final = re.compile(r"-?\d+")
_FRACTION: Final = re.compile(r"-?[\d.]+(e[+-]?\d+)?", re.IGNORECASE)


def read_form(service: str, body: bytes, *, ec2: bool) -> tuple[str, dict[str, Any]] | None:
    """Operation and parameters of a body; None where the model knows no such operation.

    Args:
        service: botocore's name of it.
        body: ``application/x-www-form-urlencoded``.
        ec2: whether lists and names are written as EC2 does.

    Raises:
        UnicodeDecodeError: the body is no text.
    """
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    operation = form.get("Action", "")
    model = service_model(service)
    if operation not in model.operation_names:
        return None
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return operation, {}
    begun = {
        ".".join(parts[:count])
        for parts in (key.split(".") for key in form)
        for count in range(1, len(parts) + 1)
    }
    return operation, _member(shape, "", form, begun, ec2=ec2) or {}


def _member(shape: Shape, at: str, form: dict[str, str], begun: set[str], *, ec2: bool) -> Any:
    """The value of a shape in a form of the query protocols; None where there is none."""
    if at and at not in begun:
        return None
    if isinstance(shape, StructureShape):
        start = f"{at}." if at else ""
        values = {
            name: _member(member, start + _form_name(name, member, ec2=ec2), form, begun, ec2=ec2)
            for name, member in shape.members.items()
        }
        return {name: value for name, value in values.items() if value is not None}
    if isinstance(shape, ListShape):
        member = shape.member
        inside = "" if ec2 or shape.serialization.get("flattened") else _list_name(member)
        return [
            _member(member, place, form, begun, ec2=ec2)
            for place in _numbered(f"{at}{inside}", begun)
        ]
    if isinstance(shape, MapShape):
        inside = "" if shape.serialization.get("flattened") else ".entry"
        key, value = (
            part.serialization.get("name", default)
            for part, default in zip((shape.key, shape.value), _ENTRY, strict=True)
        )
        return {
            form.get(f"{place}.{key}", ""): _member(
                shape.value, f"{place}.{value}", form, begun, ec2=ec2
            )
            for place in _numbered(f"{at}{inside}", begun)
        }
    return scalar(shape, form.get(at, ""))


def _form_name(name: str, member: Shape, *, ec2: bool) -> str:
    if ec2:
        if "queryName" in member.serialization:
            return str(member.serialization["queryName"])
        given = str(member.serialization.get("name", name))
        return given[:1].upper() + given[1:]
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", member.serialization.get("name", name)))
    return str(member.serialization.get("name", name))


def _list_name(member: Shape) -> str:
    return f".{member.serialization.get('name', 'member')}"


def _numbered(at: str, begun: set[str]) -> Iterator[str]:
    number = 1
    while f"{at}.{number}" in begun:
        yield f"{at}.{number}"
        number += 1


def scalar(shape: Shape, text: str) -> Any:
    """A text as the type of its shape, or itself where it is none: the check refuses that."""
    if shape.type_name in {"integer", "long"} and _WHOLE.fullmatch(text):
        return int(text)
    if shape.type_name in {"float", "double"} and _FRACTION.fullmatch(text):
        return float(text)
    if shape.type_name == "boolean" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    return text
