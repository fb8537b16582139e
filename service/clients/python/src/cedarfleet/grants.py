"""Grants for a time: give one, revoke one. Steps, as in ``cedarfleet.steps``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cedarfleet.generated.api.default import give_grant, revoke_grant
from cedarfleet.generated.models import GrantOut, NewGrantBody
from cedarfleet.steps import ask, key

if TYPE_CHECKING:
    from datetime import datetime

    from cedarfleet.steps import Steps


def give(
    template: str,
    person: str,
    *,
    until: datetime,
    reason: str,
    device: str | None,
    group: str | None,
    idempotency_key: str | None,
) -> Steps[GrantOut]:
    """Give a person what a template says; with a key of idempotency, so that it is given once."""
    asked: dict[str, Any] = {
        "template": template,
        "person": person,
        "until": until.isoformat(),
        "reason": reason,
        "device": device,
        "group": group,
    }
    given = {name: one for name, one in asked.items() if one is not None}
    body = NewGrantBody.from_dict(given)
    return ask(GrantOut, give_grant, body=body, idempotency_key=idempotency_key or key())


def revoke(grant_id: str) -> Steps[GrantOut]:
    """End a grant; one that is over stays so."""
    return ask(GrantOut, revoke_grant, grant=grant_id)
