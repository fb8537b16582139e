"""Values that a shape of botocore's model allows, and values that break it in one place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any  # what travels, before anybody has looked at it

# A value for each pattern of the model; a new pattern fails the test until it is added.
MATCHING = {
    "[a-zA-Z0-9-/_]*": "PSEXAMPLEabcdefg111111",
    "[a-zA-Z0-9-]*": "ISEXAMPLEabcdefg111111",
    ".*": "text",
    "Action$|^.+::Action": "Shop::Action",
    "[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+": "aa.bb.cc",
    "https://.*": "https://login.example.com",
    "([_a-zA-Z][_a-zA-Z0-9]*::)*[_a-zA-Z][_a-zA-Z0-9]*": "Shop::Group",
    "arn:[a-zA-Z0-9-]+:cognito-idp:(([a-zA-Z0-9-]+:\\d{12}:userpool/[\\w-]+_[0-9a-zA-Z]+))": (
        "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_AbCdEfGhI"
    ),
    "[A-Za-z0-9-_=+/\\.]*": "token",
    "[0-9a-fA-F\\.:\\/]*": "10.0.0.1",
    "-?\\d{1,15}\\.\\d{1,4}": "1.5",
    "\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}:\\d{2}(\\.\\d{3})?(Z|[+-]\\d{4}))?": "2026-11-22",
    "-?(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?": "1h30m",
    "[a-zA-Z0-9:/_-]+": "arn:aws:kms:eu-central-1:123456789012:key/1",
}


def example(shape: Shape, depth: int = 0) -> Json:
    """A value that the model allows, with every member of a structure and the first of a union."""
    if isinstance(shape, StructureShape):
        members = list(shape.members.items())
        if shape.is_tagged_union:
            members = members[:1]
        return {name: example(member, depth + 1) for name, member in members if depth < 6}
    if isinstance(shape, ListShape):
        return [example(shape.member, depth + 1)]
    if isinstance(shape, MapShape):
        return {example(shape.key): example(shape.value, depth + 1)}
    if isinstance(shape, StringShape):
        if shape.enum:
            return shape.enum[0]
        pattern = shape.metadata.get("pattern")
        return MATCHING[pattern] if pattern else "x" * max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "integer": 1, "long": 1}[shape.type_name]


def violations(  # noqa: C901 - one branch for each kind of shape
    shape: Shape, path: str = "", depth: int = 0
) -> Iterator[tuple[Any, str, str]]:
    """Values that break the model in one place each: the value, where, and how."""
    if isinstance(shape, StructureShape):
        yield from _structure_violations(shape, path, depth)
    elif isinstance(shape, ListShape):
        yield from _length_violations(shape, path, lambda n: [example(shape.member)] * n)
        for value, at, how in violations(shape.member, f"{path}/0", depth + 1):
            yield [value], at, how
    elif isinstance(shape, MapShape):
        yield from _length_violations(
            shape, path, lambda n: {f"key{i}": example(shape.value) for i in range(n)}
        )
        for value, _, how in violations(shape.key, path, depth + 1):
            yield {value: example(shape.value)}, path, how
        key = example(shape.key)
        for value, at, how in violations(shape.value, f"{path}/{key}", depth + 1):
            yield {key: value}, at, how
    elif isinstance(shape, StringShape):
        yield from _length_violations(shape, path, lambda n: "a" * n)
        pattern = shape.metadata.get("pattern")
        if pattern:
            bad = "\n" if pattern == ".*" else "!" * max(3, shape.metadata.get("min", 1))
            assert re.fullmatch(pattern, bad) is None, pattern
            yield bad, path, "pattern"
        if shape.enum:
            yield "SOMETHING_ELSE", path, "enum"
    elif "min" in shape.metadata:
        yield shape.metadata["min"] - 1, path, "range"


def _structure_violations(
    shape: StructureShape, path: str, depth: int
) -> Iterator[tuple[Any, str, str]]:
    base = example(shape, depth)
    if depth > 6:
        return
    for name, member in shape.members.items():
        for value, at, how in violations(member, f"{path}/{name}", depth + 1):
            yield ({name: value} if shape.is_tagged_union else base | {name: value}), at, how
    for name in shape.required_members:
        yield (
            {other: value for other, value in base.items() if other != name},
            f"{path}/{name}",
            "required",
        )
    if shape.is_tagged_union:
        yield {}, path, "union of none"
        if len(shape.members) > 1:
            yield (
                {name: example(member, depth + 1) for name, member in shape.members.items()},
                path,
                "union of all",
            )


def _length_violations(shape: Shape, path: str, made: Json) -> Iterator[tuple[Any, str, str]]:
    if shape.metadata.get("min", 0) > 0:
        yield made(shape.metadata["min"] - 1), path, "too short"
    if "max" in shape.metadata:
        yield made(shape.metadata["max"] + 1), path, "too long"
