"""Examples of requests and answers, which the OpenAPI document shows with each operation.

They are made of the schemas, so that no route is without; what a word of a schema looks like in
practice stands in the tables. A test holds each example to its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID: Final = "01JD8Z6V3K5Q7T9W1Y3A5C7E9G"
_CREDENTIAL: Final = "1example23456789--1790000000"
_PERSON: Final = "a3d4e8b2-70f1-7093-1c5e-8c1d2f3a4b5c"
_SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_WHEN: Final = "2026-10-01T08:30:00Z"

_MEMBERS: Final[Mapping[str, Any]] = {
    "action": "StopDevice",
    "artifact": "recipes/steel.json",
    "attributes": {"kind": "press", "criticality": "high"},
    "ca": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    "certificate": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    "command": "stop",
    "changed_by": f"eu-central-1_Ab12Cd34E|{_PERSON}",
    "counts": {"succeeded": 2, "queued": 1},
    "created_by": f"eu-central-1_Ab12Cd34E|{_PERSON}",
    "criticality": "high",
    "csr": "-----BEGIN CERTIFICATE REQUEST-----\n...\n-----END CERTIFICATE REQUEST-----\n",
    "cursor": None,
    "day": "2026-09-30",
    "description": "presses of hall 1",
    "detail": {},
    "device": "press-07",
    "email": "kim@acme.example",
    "errors": [{"field": "criticality", "problem": "must be one of low, medium, high"}],
    "explanation": None,
    "failed": None,
    "failure": None,
    "file": _ID,
    "group": "line-press",
    "groups": ["line-press"],
    "host": "devices.fleet.example",
    "kind": "press",
    "may": ["ListDevices", "ViewFile"],
    "name": "recipes/steel.json",
    "nouns": ["device", "command"],
    "parents": ["zone-hall-1"],
    "policies": ["managers-everything"],
    "port": 8883,
    "principal": f"eu-central-1_Ab12Cd34E|{_PERSON}",
    "problem": None,
    "put_in": ["press-07"],
    "reason": "smoke in hall 1",
    "region": "eu-central",
    "request_id": _ID,
    "retired_at": None,
    "security_patch": "2026-09-01",
    "sha256": _SHA256,
    "signatures": {"4f1c7d2a": "MEUCIQDx..."},
    "subject": _PERSON,
    "tags": {"building": "7"},
    "take_out": ["press-08"],
    "tenant": "acme",
    "thing": "acme--press-07",
    "time_zone": "Europe/Berlin",
    "topic": "temperature",
    "type": None,
    "unreadable": None,
    "url": "https://example.com/sbom.json",
    "utc_offset": "+02:00",
    "version": "2.1",
    "window": "22:00-04:00",
}
"""By the name of a member, wherever that fits its schema."""

_OF_SCHEMAS: Final[Mapping[str, Any]] = {
    "CheckBody": {
        "checks": [
            {"command": "stop", "device": "press-07"},
            {"action": "DownloadFile", "group": "line-press", "artifact": "recipes/steel.json"},
        ]
    },
    "NewCommandTypeBody": {
        "name": "set-recipe",
        "action": "SetParameters",
        "parameters": {"type": "object", "required": ["recipe"]},
    },
    "CommandTypeBody": {
        "action": "SetParameters",
        "description": "loads a recipe",
        "parameters": {
            "type": "object",
            "properties": {"recipe": {"type": "string"}},
            "required": ["recipe"],
            "additionalProperties": False,
        },
        "needs_reason": True,
    },
    "CampaignBody": {"name": "reboot", "group": "line-press", "window_seconds": 3600},
    "CommandBody": {"name": "set-parameters", "arguments": {"speed": 40}, "timeout_seconds": 60},
    "DevicePatch": {"criticality": "high", "window": "22:00-04:00"},
    "DownloadBody": {"artifact": "recipes/steel.json", "group": "line-press"},
    "FileBody": {
        "name": "recipes/steel.json",
        "size": 1024,
        "sha256": _SHA256,
        "package": {"name": "recipes", "version": "2.1"},
    },
    "PlanBody": {
        "artifact": "recipes/steel.json",
        "group": "line-press",
        "waves": [{"devices": 5}, {"percent": 20}],
        "pause_minutes": 60,
        "window": "22:00-04:00",
        "utc_offset": "+01:00",
    },
    "WantedVersionBody": {
        "file": _ID,
        "devices_per_hour": 600,
        "window": "22:00-04:00",
        "utc_offset": "+01:00",
    },
    "WaveBody": {"devices": 5},
    "StatePatch": {"desired": {"brightness": {"value": 40, "version": 1}, "old": None}},
    "NewGrantBody": {
        "template": "technician-for-line",
        "person": "kim@acme.example",
        "device": "pump-03",
        "until": _WHEN,
        "reason": "Lee is away until Friday",
    },
    "QuestionBody": {"command": "stop", "device": "press-07"},
    "ExplainBody": {"command": "stop", "device": "press-07"},
    "SimulateBody": {
        "question": {"command": "stop", "device": "press-07"},
        "persona": {"groups": ["operators"]},
        "at": _WHEN,
    },
    "ConditionOut": {
        "words": "the device's criticality is high",
        "condition": '(resource.criticality) == "high"',
        "holds": False,
        "values": {"resource.criticality": "low"},
        "may_change": ["ConfigureDevice"],
    },
    "DeviceStateBody": {"facts": {"criticality": "high"}},
    "PersonaBody": {"groups": ["operators"]},
    "ProposedBody": {
        "added": {"no-stop": 'forbid (principal, action == Fleet::Action::"StopDevice", resource);'}
    },
    "TagsPatch": {"tags": {"building": "7", "floor": None}},
}
"""Bodies of which members exclude each other, or say something together."""

_PARTS: Final[Mapping[tuple[str, str], Any]] = {
    ("AuditChainOut", "head"): _SHA256,
    ("AuditEntryOut", "about"): {"command": _ID},
    ("AuditEntryOut", "decided_by"): "store",
    ("AuditEntryOut", "decision"): "ALLOW",
    ("AuditEntryOut", "digest"): _SHA256,
    ("AuditEntryOut", "emergency_reason"): None,
    ("AuditEntryOut", "id"): _ID,
    ("AuditEntryOut", "kind"): "decision",
    ("AuditEntryOut", "reason"): None,
    ("AuditEntryOut", "resource"): 'Fleet::Device::"press-07"',
    ("AuditEntryOut", "source_ip"): "203.0.113.9",
    ("AuditEntryOut", "subject"): "stop",
    ("AuditEntryOut", "who"): "p-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ("SignedLinkOut", "hash"): _SHA256,
    ("SignedLinkOut", "key"): _SHA256,
    ("Accepted", "id"): _ID,
    ("Accepted", "state"): "received",
    ("Accepted", "url"): f"/v1/commands/{_ID}",
    ("CampaignDeviceOut", "command"): _ID,
    ("CampaignDeviceOut", "state"): "succeeded",
    ("CampaignOut", "canceled_by"): None,
    ("CampaignOut", "devices"): 3,
    ("CampaignOut", "id"): _ID,
    ("CampaignOut", "name"): "reboot",
    ("CampaignOut", "state"): "sent",
    ("CampaignOut", "why"): None,
    ("CommandOut", "id"): _ID,
    ("CommandOut", "name"): "stop",
    ("CommandTypeOut", "action"): "SetParameters",
    ("CommandTypeOut", "description"): "loads a recipe",
    ("CommandTypeOut", "name"): "set-recipe",
    ("CommandTypeOut", "parameters"): {"type": "object"},
    ("DeviceOut", "id"): "press-07",
    ("DeviceOut", "may"): ["ViewDevice"],
    ("DownloadOut", "id"): _ID,
    ("DownloadSummary", "id"): _ID,
    ("FileOut", "id"): _ID,
    ("FreezeBody", "reason"): "a recall of press firmware 2.0",
    ("FreezeOut", "by"): f"eu-central-1_Ab12Cd34E|{_PERSON}",
    ("FreezeOut", "group"): "line-press",
    ("FreezeOut", "policy"): "SPEXAMPLEabcdefg111111",
    ("FreezeOut", "reason"): "a recall of press firmware 2.0",
    ("FreezeOut", "state"): "frozen",
    ("GrantOut", "given_by"): f"eu-central-1_Ab12Cd34E|{_PERSON}",
    ("GrantOut", "id"): _ID,
    ("GrantOut", "over_at"): None,
    ("GrantOut", "person"): _PERSON,
    ("GrantOut", "policy"): "SPEXAMPLEabcdefg111111",
    ("GrantOut", "reason"): "Lee is away until Friday",
    ("GrantOut", "revoked_by"): None,
    ("GrantOut", "state"): "active",
    ("GrantOut", "template"): "technician-for-line",
    ("GroupBody", "id"): "line-press",
    ("GroupOut", "id"): "line-press",
    ("ListedPersonOut", "id"): _PERSON,
    ("MachineOut", "client_id"): "1example23456789",
    ("MachineOut", "description"): "the plant's own system",
    ("MachineOut", "id"): "mes",
    ("MachineOut", "scopes"): ["view"],
    ("MachineOut", "state"): "active",
    ("Me", "commands"): ["reboot", "stop"],
    ("Me", "grant_templates"): ["break-glass", "technician-for-line"],
    ("Me", "groups"): ["managers"],
    ("Me", "not_in_tier"): ["webhooks"],
    ("Me", "tier"): "standard",
    ("NewDeviceBody", "id"): "press-07",
    ("NewMachineBody", "description"): "the plant's own system",
    ("NewMachineBody", "expires_at"): None,
    ("NewMachineBody", "id"): "mes",
    ("NewMachineBody", "scopes"): ["view"],
    ("NewPersonBody", "groups"): ["operators"],
    ("NewSecretBody", "expires_at"): None,
    ("PackageName", "name"): "recipes",
    ("PeopleGroupsBody", "groups"): ["operators"],
    ("PlanOut", "counts"): {"allowed": 3, "denied": 1},
    ("PlanOut", "id"): _ID,
    ("PersonMayOut", "groups"): ["operators"],
    ("PersonMayOut", "id"): _PERSON,
    ("PersonOut", "groups"): ["operators"],
    ("PersonOut", "id"): _PERSON,
    ("SecretOut", "id"): _CREDENTIAL,
    ("ToldSecretOut", "id"): _CREDENTIAL,
    ("ToldSecretOut", "secret"): "told in this answer alone",
}
"""Members that read otherwise in one schema than in others."""


class Examples:
    """Makes examples of the schemas of one document.

    Args:
        schemas: its components.
    """

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def of(self, schema: Mapping[str, Any], owner: str = "", member: str = "") -> Any:
        """An example of a schema, or of a member of the schema ``owner``."""
        if (owner, member) in _PARTS:
            return _PARTS[owner, member]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            known = self._schemas[name]
            if name in _OF_SCHEMAS:
                return _OF_SCHEMAS[name]
            return self.of(known, name) if "properties" in known else self.of(known, owner, member)
        if member in _MEMBERS and _fits(schema, _MEMBERS[member]):
            return _MEMBERS[member]
        return self._made(schema, owner, member)

    def _made(self, schema: Mapping[str, Any], owner: str, member: str) -> Any:
        several = schema.get("oneOf") or schema.get("allOf")
        if several:
            return self.of(several[0], owner, member)
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "object":
            parts: Mapping[str, Any] = schema.get("properties", {})
            return {name: self.of(part, owner, name) for name, part in parts.items()}
        if schema.get("type") == "array":
            return [self.of(schema["items"], owner)]
        return schema.get("default", self._plain(schema))

    def _plain(self, schema: Mapping[str, Any]) -> Any:
        texts = {"date-time": _WHEN}
        plain = {
            "integer": schema.get("minimum", 1),
            "boolean": True,
            "string": texts.get(schema.get("format", ""), "example"),
        }
        kind = schema.get("type", "")
        return plain.get(kind[0] if isinstance(kind, list) else kind, {})


def _fits(schema: Mapping[str, Any], example: Any) -> bool:
    """Whether an example is of the schema's type; of the text itself its table has to think."""
    options = schema.get("oneOf") or schema.get("allOf") or [schema]
    kinds = {type(None): "null", str: "string", int: "integer", list: "array", dict: "object"}
    fitting = [option for option in options if option.get("type") == kinds[type(example)]]
    if isinstance(example, list):
        return any("$ref" not in option["items"] for option in fitting)
    if isinstance(example, str):
        return any(option.get("format") != "date-time" for option in fitting)
    return bool(fitting)
