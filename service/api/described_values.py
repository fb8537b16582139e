"""What texts of requests and answers may be, told in the OpenAPI document by the domain's tables.

msgspec and Litestar know that a state is a text; the domain knows which.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.cedar import device_facts
from service.domain.commands import CommandRecordState
from service.domain.downloads import DeliveryState
from service.domain.files import FileState
from service.domain.identities import TokenUse
from service.domain.permissions import COMMANDING
from service.operations.membership import RowStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _one_of(*texts: str) -> dict[str, Any]:
    return {"enum": list(dict.fromkeys(texts))}


def _like(pattern: str | re.Pattern[str]) -> dict[str, Any]:
    text = pattern if isinstance(pattern, str) else pattern.pattern
    # ECMA-262, which JSON Schema takes its patterns from, names its groups otherwise.
    return {"pattern": f"^(?:{re.sub(r'[(][?]P<[a-z]+>', '(', text)})$"}


_DEVICE: Final = _like(wire.DEVICE_ID)
_REPORTED: Final = _one_of(*wire.CommandState)
_DELIVERY: Final = _one_of(*DeliveryState)
_CRITICALITY: Final = _one_of(*device_facts.LEVELS)
_COMMANDING: Final = _one_of(*sorted(COMMANDING))
_LABEL: Final = _like(device_facts.LABEL)

VALUES: Final[Mapping[str, Mapping[str, dict[str, Any]]]] = {
    "CommandOut": {
        "id": _like(wire.COMMAND_ID),
        "device": _DEVICE,
        "state": _one_of(*CommandRecordState, *wire.CommandState),
        "reported_by": _one_of("device", "service"),
    },
    "CommandTypeBody": {"action": _COMMANDING},
    "CommandTypeOut": {"source": _one_of("file", "api"), "action": _COMMANDING},
    "DeliveryOut": {"device": _DEVICE, "state": _DELIVERY},
    "DeviceOut": {"id": _DEVICE},
    "DownloadOut": {"state": _DELIVERY},
    "FileOut": {"id": _like(wire.COMMAND_ID), "state": _one_of(*FileState)},
    "DevicePatch": {
        "kind": _LABEL,
        "region": _LABEL,
        "criticality": _CRITICALITY,
        "utc_offset": _like(device_facts.OFFSET),
        "time_zone": _like(device_facts.ZONE),
        "window": _like(device_facts.WINDOW),
        "security_patch": {"format": "date"},
    },
    "GroupBody": {"id": _DEVICE},
    "GroupOut": {"id": _DEVICE, "source": _one_of("file", "api")},
    "MemberOut": {"status": _one_of(*RowStatus)},
    "Me": {"token_use": _one_of(*TokenUse)},
    "NewCommandTypeBody": {"action": _COMMANDING},
    "NewDeviceBody": {"id": _DEVICE},
    "ReportedOut": {"state": _REPORTED},
}
"""Members of schemas, by the names of both."""

PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "device": _DEVICE,
    "group": _DEVICE,
    "command_id": _like(wire.COMMAND_ID),
    "file_id": _like(wire.COMMAND_ID),
    "criticality": _CRITICALITY,
}
"""Parameters of paths and queries, by name."""


def refined(schema: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The schema of a text, or of a text or nothing, with what the text may be."""
    if "oneOf" not in schema:
        return schema | values
    options: Iterable[dict[str, Any]] = schema["oneOf"]
    return schema | {
        "oneOf": [
            option | values if option.get("type") == "string" else option for option in options
        ]
    }


def with_values(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas, refined.

    Raises:
        KeyError: a table above names a schema or member that there is not.
    """
    described = dict(schemas)
    for name, members in VALUES.items():
        properties = dict(described[name]["properties"])
        for member, values in members.items():
            properties[member] = refined(properties[member], values)
        described[name] = {**described[name], "properties": properties}
    return described
