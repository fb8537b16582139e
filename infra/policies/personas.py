"""The people and machines of the scenario, each under the circumstances in which the policies are judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from infra.policies.fleet import NIGHT, NOON
from infra.policies.question import Circumstances, Who


@dataclass(frozen=True, kw_only=True)
class Persona:
    """Somebody under some circumstances, with the words for it."""

    title: str
    who: Who
    about: Circumstances


AT_NIGHT: Final = Circumstances(now=NIGHT)
AT_NOON: Final = Circumstances(now=NOON)
_EMERGENCY: Final = replace(AT_NIGHT, emergency=True, reason="alarm")


def _person(
    title: str, *groups: str, user: str = "someone", about: Circumstances = AT_NIGHT
) -> Persona:
    return Persona(title=title, who=Who(user=user, groups=groups), about=about)


def _machine(title: str, *scopes: str) -> Persona:
    return Persona(title=title, who=Who(user="client", scopes=scopes), about=AT_NIGHT)


PERSONAS: Final = (
    _person("Manager", "managers"),
    _person("Operator", "operators"),
    _person("Operator who is also a manager", "operators", "managers"),
    _person(
        "Operator who is also a certified technician",
        "operators",
        "technicians",
        "certified-line-press",
    ),
    _person("Technician certified for line-press", "technicians", "certified-line-press"),
    _person("Technician without a certificate", "technicians"),
    _person("Certified for line-press, but no longer a technician", "certified-line-press"),
    _person("Kim, technician for line-pump until December", "technicians", user="kim"),
    _person("Lee, technician for line-pump until three weeks ago", "technicians", user="lee"),
    _person("Process engineer", "process-engineers"),
    _person("IT staff of zone-hall-1, in the window", "it-staff"),
    _person(
        "IT staff of zone-hall-1, in the window, every member device asked and allowed",
        "it-staff",
        about=replace(AT_NIGHT, members_allowed=True),
    ),
    _person("IT staff of zone-hall-1, at noon", "it-staff", about=AT_NOON),
    _person("Operations manager", "operations-managers"),
    _person("Emergency responder, no emergency", "emergency-responders"),
    _person(
        "Emergency responder, emergency with a reason", "emergency-responders", about=_EMERGENCY
    ),
    _person(
        "Emergency responder, emergency without a reason",
        "emergency-responders",
        about=replace(_EMERGENCY, reason=None),
    ),
    _person(
        "Sam, break-glass on ward-3 tonight, emergency with a reason", user="sam", about=_EMERGENCY
    ),
    _person(
        "Sam, break-glass on ward-3 tonight, emergency at noon",
        user="sam",
        about=replace(_EMERGENCY, now=NOON),
    ),
    _machine("Machine with scope fleet/view", "fleet/view"),
    _machine("Machine with scopes fleet/view and fleet/operate", "fleet/view", "fleet/operate"),
    _machine("Machine with scope fleet/update, in the window", "fleet/update"),
    Persona(
        title="Person whose access token got the scopes of a machine",
        who=Who(user="kim", client="app", scopes=("fleet/view", "fleet/operate", "fleet/update")),
        about=AT_NIGHT,
    ),
    _person("Signed in, but in no group"),
)
