"""A plant to decide about: its schema, as many policies as are wanted, and what a user asks."""

from __future__ import annotations

import json
from typing import Any

SCHEMA = json.dumps(
    {
        "Plant": {
            "entityTypes": {
                "Group": {},
                "User": {
                    "memberOfTypes": ["Group"],
                    "shape": {"type": "Record", "attributes": {"region": {"type": "String"}}},
                },
                "Line": {},
                "Device": {
                    "memberOfTypes": ["Line"],
                    "shape": {
                        "type": "Record",
                        "attributes": {
                            "region": {"type": "String"},
                            "criticality": {"type": "String"},
                        },
                    },
                },
            },
            "actions": {
                "operate": {},
                "reboot": {
                    "memberOf": [{"id": "operate"}],
                    "appliesTo": {
                        "principalTypes": ["User"],
                        "resourceTypes": ["Device"],
                        "context": {"type": "Record", "attributes": {"mfa": {"type": "Boolean"}}},
                    },
                },
            },
        }
    }
)
DECIDING = (
    'permit(principal in Plant::Group::"operators", action in Plant::Action::"operate", resource '
    "is Plant::Device) "
    "when { principal.region == resource.region && context.mfa };"
)


def asking(name: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """A user's request as the API takes it; by hand for Cedar; and its entities by hand."""
    user = {"entityType": "Plant::User", "entityId": name}
    device = {"entityType": "Plant::Device", "entityId": "press-07"}
    by_api: dict[str, Any] = {
        "principal": user,
        "action": {"actionType": "Plant::Action", "actionId": "reboot"},
        "resource": device,
        "context": {"contextMap": {"mfa": {"boolean": True}}},
        "entities": {
            "entityList": [
                {
                    "identifier": user,
                    "attributes": {"region": {"string": "eu"}},
                    "parents": [{"entityType": "Plant::Group", "entityId": "operators"}],
                },
                {
                    "identifier": device,
                    "attributes": {"region": {"string": "eu"}, "criticality": {"string": "low"}},
                    "parents": [{"entityType": "Plant::Line", "entityId": "line-1"}],
                },
            ]
        },
    }
    principal, resource = (
        {"type": "Plant::User", "id": name},
        {"type": "Plant::Device", "id": "press-07"},
    )
    by_hand: dict[str, Any] = {
        "principal": principal,
        "action": {"type": "Plant::Action", "id": "reboot"},
        "resource": resource,
        "context": {"mfa": True},
    }
    entities: list[dict[str, Any]] = [
        {
            "uid": principal,
            "attrs": {"region": "eu"},
            "parents": [{"type": "Plant::Group", "id": "operators"}],
        },
        {
            "uid": resource,
            "attrs": {"region": "eu", "criticality": "low"},
            "parents": [{"type": "Plant::Line", "id": "line-1"}],
        },
    ]
    return by_api, by_hand, entities


def policies(count: int) -> list[str]:
    """``count`` policies of three kinds, a third of them open to all; the last one decides."""
    kinds = (
        (
            'permit(principal in Plant::Group::"group-{0}", action, resource in '
            'Plant::Line::"line-{0}x") '
            'when {{ resource.criticality != "high" }};'
        ),
        (
            'permit(principal == Plant::User::"user-{0}", action, resource == '
            'Plant::Device::"device-{0}");'
        ),
        (
            'forbid(principal, action == Plant::Action::"reboot", resource) '
            'when {{ resource.region == "region-{0}" && !context.mfa }};'
        ),
    )
    return [kinds[number % 3].format(number) for number in range(count - 1)] + [DECIDING]
