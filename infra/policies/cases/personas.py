"""The people and machines of the matrix, each in the context in which the policies are asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from infra.policies.cases.reference_fleet import NIGHT, NOON
from service.cedar.request import RequestContext

if TYPE_CHECKING:
    from infra.policies.cases.reference_fleet import ReferenceFleet
    from service.cedar.request import TokenBearer


@dataclass(frozen=True, kw_only=True)
class Persona:
    """Somebody in some context, with the words for it.

    Attributes:
        title: heading of the matrix.
        user: of ``policies/cases/entities.json``.
        context: when and why.
        scopes: of an access token; ``None`` for an ID token.
        client_id: as in ``TokenBearer``.
    """

    title: str
    user: str
    context: RequestContext
    scopes: tuple[str, ...] | None = None
    client_id: str | None = None

    def bearer(self, fleet: ReferenceFleet) -> TokenBearer:
        """The persona with its token."""
        return replace(fleet.bearer(self.user), scopes=self.scopes, client_id=self.client_id)


AT_NIGHT: Final = RequestContext(now=NIGHT)
AT_NOON: Final = RequestContext(now=NOON)
_CERTIFYING: Final = replace(AT_NIGHT, changed_tags=("certified_by",))
_EMERGENCY: Final = replace(AT_NIGHT, emergency=True, reason="alarm")


def _person(title: str, user: str, context: RequestContext = AT_NIGHT) -> Persona:
    return Persona(title=title, user=user, context=context)


def _machine(title: str, *scopes: str) -> Persona:
    return Persona(title=title, user="machine", scopes=scopes, context=AT_NIGHT)


PERSONAS: Final = (
    _person("Manager", "manager"),
    _person("Manager, for the tag `certified_by`", "manager", _CERTIFYING),
    _person("Operator", "operator"),
    _person("Operator who is also a manager", "operator-and-manager"),
    _person("Operator who is also a certified technician", "operator-and-technician"),
    _person("Technician certified for line-press", "certified-technician"),
    _person("Technician without a certificate", "technician"),
    _person("Certified for line-press, but no longer a technician", "former-technician"),
    _person("Kim, technician for line-pump until December", "kim"),
    _person("Lee, technician for line-pump until three weeks ago", "lee"),
    _person("Process engineer", "process-engineer"),
    _person("IT staff of zone-hall-1, in the window", "it-staff"),
    _person(
        "IT staff of zone-hall-1, in the window, every member device asked and allowed",
        "it-staff",
        replace(AT_NIGHT, members_allowed=True),
    ),
    _person("IT staff of zone-hall-1, at noon", "it-staff", AT_NOON),
    _person("IT staff of zone-hall-1, for the tag `certified_by`", "it-staff", _CERTIFYING),
    _person("Operations manager", "operations-manager"),
    _person("Emergency responder, no emergency", "responder"),
    _person("Emergency responder, emergency with a reason", "responder", _EMERGENCY),
    _person(
        "Emergency responder, emergency without a reason",
        "responder",
        replace(_EMERGENCY, reason=None),
    ),
    _person("Sam, break-glass on ward-3 tonight, emergency with a reason", "sam", _EMERGENCY),
    _person(
        "Sam, break-glass on ward-3 tonight, emergency at noon",
        "sam",
        replace(_EMERGENCY, now=NOON),
    ),
    _machine("Machine with scope fleet/view", "fleet/view"),
    _machine("Machine with scopes fleet/view and fleet/operate", "fleet/view", "fleet/operate"),
    _machine("Machine with scope fleet/update, in the window", "fleet/update"),
    Persona(
        title="Person whose access token got the scopes of a machine",
        user="newcomer",
        client_id="app",
        scopes=("fleet/view", "fleet/operate", "fleet/update"),
        context=AT_NIGHT,
    ),
    _person("Signed in, but in no group", "newcomer"),
)
