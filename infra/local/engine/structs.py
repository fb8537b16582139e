"""Property values from and to protobuf's Struct, as Pulumi's protocol sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, struct_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.values import Value


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Decode a Struct: whole numbers become ``int`` (the wire has doubles), nulls at the top go."""
    return {
        key: _whole(value)
        for key, value in json_format.MessageToDict(struct).items()
        if value is not None
    }


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Encode wire values; ``None`` at the top is left out."""
    struct = struct_pb2.Struct()
    json_format.ParseDict(
        {key: value for key, value in properties.items() if value is not None}, struct
    )
    return struct


def _whole(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
