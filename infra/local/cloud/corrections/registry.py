"""The thing registry: what the emulator stores and AWS IoT Core refuses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_MAX_VALUE: Final = 800  # characters (botocore's model of AWS IoT: AttributeValue)
_VALUE: Final = r"[a-zA-Z0-9_.,@/:#=\[\]-]*"
_NAME: Final = r"[a-zA-Z0-9_.,@/:#-]+"


def attributes_are_of_their_form(emulator: Emulator) -> None:
    """Refuse a thing's attribute that is not of AttributeValue's pattern, e.g. one with a `+`."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def handle(method: str, path: str, body: bytes, query: Any) -> Any:
            if method in {"POST", "PATCH"} and (problem := _problem(body)):
                return iot.error_response_json("InvalidRequestException", problem, 400)
            return original(method, path, body, query)

        return handle

    emulator.replace(_IOT, "_handle_thing", correction)


def _problem(body: bytes) -> str | None:
    """What is wrong with the attributes of a CreateThing or UpdateThing; no other fault."""
    try:
        attributes = json.loads(body or b"{}")["attributePayload"]["attributes"].items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    where = (
        "1 validation error detected: Value at 'attributePayload.attributes' "
        "failed to satisfy constraint: "
    )
    for name, value in attributes:
        if re.fullmatch(_NAME, name) is None:
            return (
                f"{where}Map keys must satisfy constraint: "
                f"[Member must satisfy regular expression pattern: {_NAME}]"
            )
        text = str(value or "")
        if len(text) > _MAX_VALUE or re.fullmatch(_VALUE, text) is None:
            return (
                f"{where}Map value must satisfy constraint: "
                f"[Member must have length less than or equal to {_MAX_VALUE}"
                f", Member must satisfy regular expression pattern: {_VALUE}]"
            )
    return None
