"""The JSON Schema of a tenant's file, made from the types that read it: editors complete from it.

What a type cannot say alone (a grant of an unknown group, a circle of lines) only reading tells.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast

import msgspec

from infra.stacks.config import stack_file
from infra.stacks.config.tenant import TenantConfig

FILE: Final = "tenant.schema.json"  # in tenants/, beside the files


def render() -> str:
    """The whole schema as text, the same for the same types."""
    (top,), parts = msgspec.json.schema_components([TenantConfig], ref_template="#/$defs/{name}")
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of a Cedarfleet tenant",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [stack_file.REGION, "cedarfleet:tenant"],
                "properties": {
                    stack_file.REGION: {"type": "string", "description": "the platform's"},
                    "cedarfleet:tenant": top,
                },
            }
        },
        "$defs": parts,
    }
    return json.dumps(_for_editors(schema), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _for_editors(value: Any) -> Any:
    r"""Patterns as JSON Schema has them: of ECMA-262, which knows no ``\A`` and ``\Z``."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        pattern = members.get("pattern")
        changed = {key: _for_editors(member) for key, member in members.items()}
        if isinstance(pattern, str):
            changed["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
        return changed
    if isinstance(value, list):
        return [_for_editors(member) for member in cast("list[Any]", value)]
    return value
