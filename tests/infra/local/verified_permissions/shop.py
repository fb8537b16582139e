"""The shop of the tests: its schema, and the request whether alice may view the hat."""

from __future__ import annotations

from typing import Any

SCHEMA: dict[str, Any] = {
    "Shop": {
        "commonTypes": {
            "Context": {
                "type": "Record",
                "attributes": {
                    "mfa": {"type": "Boolean", "required": False},
                    "now": {"type": "Extension", "name": "datetime", "required": False},
                    "token": {
                        "type": "Record",
                        "required": False,
                        "attributes": {
                            "scope": {
                                "type": "Set",
                                "required": False,
                                "element": {"type": "String"},
                            },
                            "client_id": {"type": "String", "required": False},
                        },
                    },
                },
            }
        },
        "entityTypes": {
            "Group": {},
            "User": {
                "memberOfTypes": ["Group"],
                "shape": {
                    "type": "Record",
                    "attributes": {
                        "email": {"type": "String", "required": False},
                        "custom:dept": {"type": "String", "required": False},
                        "custom": {
                            "type": "Record",
                            "required": False,
                            "attributes": {"dept": {"type": "String", "required": False}},
                        },
                        "email_verified": {"type": "Boolean", "required": False},
                        "level": {"type": "Long", "required": False},
                    },
                },
            },
            "Shelf": {"memberOfTypes": ["Shelf"]},
            "Item": {
                "memberOfTypes": ["Shelf"],
                "shape": {
                    "type": "Record",
                    "attributes": {
                        "owner": {"type": "Entity", "name": "User", "required": False},
                        "price": {"type": "Long", "required": False},
                    },
                },
            },
        },
        "actions": {
            "read": {},
            "view": {
                "memberOf": [{"id": "read"}],
                "appliesTo": {
                    "principalTypes": ["User"],
                    "resourceTypes": ["Item"],
                    "context": {"type": "Context"},
                },
            },
            "edit": {
                "appliesTo": {
                    "principalTypes": ["User"],
                    "resourceTypes": ["Item"],
                    "context": {"type": "Context"},
                },
            },
        },
    }
}
ALICE: Any = {"entityType": "Shop::User", "entityId": "alice"}
HAT: Any = {"entityType": "Shop::Item", "entityId": "hat"}
VIEW: Any = {"actionType": "Shop::Action", "actionId": "view"}
ASK: Any = {"principal": ALICE, "action": VIEW, "resource": HAT}
