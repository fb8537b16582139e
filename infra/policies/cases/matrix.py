"""Who may do what to which device, as one table that people can read: ``policies/matrix.md``."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from infra.policies.cases.personas import PERSONAS, Persona
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.cases.requests import ACTIONS, all_requests
from infra.policies.files.load import load
from service.cedar.entities import DEVICE, DEVICE_GROUP, TENANT
from service.cedar.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.policies.cases.requests import Resource
    from service.cedar.values import Value

FILE: Final = "matrix.md"
_HEAD: Final = """\
# Who may do what

Written by `python -m infra policies matrix --write`; a test keeps it true. The decisions are those
of the base policies with the people, devices and grants of `cases/entities.json` and
`cases/grants.yaml`; a tenant's own policies come on top. `yes` and `no` name the deciding policies;
a bare `no` means that nothing permits it; an empty cell, that the action does not apply.

The time is 2026-11-22T23:00Z unless the heading says noon, which is 11:00Z. `SetDeviceTags`
and `RegisterDevice` are asked for the tag `building`, of which the base says nothing, unless the
heading says another.

| | kind | groups | criticality | maintenance window (local) | last patch |
|---|---|---|---|---|---|
"""


def render(root: Path) -> str:
    """The whole file.

    Raises:
        PolicyError: the policies are not valid.
    """
    fleet = ReferenceFleet.read(root)
    policies = load(root, fleet.policies).policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)
    evaluator = Evaluator(policies)
    rows = [_resource_row(name, resource) for name, resource in fleet.resources().items()]
    lines = [_HEAD + "\n".join(rows)]
    lines += [_section(evaluator, fleet, persona) for persona in PERSONAS]
    return "\n\n".join(lines) + "\n"


def _section(evaluator: Evaluator, fleet: ReferenceFleet, persona: Persona) -> str:
    resources = fleet.resources()
    bearer, cells = persona.bearer(fleet), dict[tuple[str, str], str]()
    for resource in resources.items():  # of one, since two may have one uid and other attributes
        asked = [
            (action, name, request)
            for action, name, request in all_requests(
                bearer, persona.context, dict([resource]), tenant=TENANT_ID, pool_id=POOL_ID
            )
        ]
        found = evaluator.evaluate_all([request for _, _, request in asked])
        cells |= {
            (action, name): str(evaluation)
            for (action, name, _), evaluation in zip(asked, found, strict=True)
        }
    rows = [
        (action, tuple(cells.get((action, name), "") for name in resources)) for action in ACTIONS
    ]
    lines = [
        f"## {persona.title}",
        "",
        _row("", *resources),
        _row(*("---" for _ in range(len(resources) + 1))),
    ]
    for decisions, same in itertools.groupby(rows, key=lambda row: row[1]):
        lines.append(_row(", ".join(action for action, _ in same), *decisions))
    return "\n".join(lines)


def _resource_row(name: str, resource: Resource) -> str:
    attributes = resource.attributes
    is_device = resource.type == DEVICE
    kind = {TENANT: "tenant", DEVICE_GROUP: "group"}.get(resource.type, "device")
    patch = attributes.get("security_patch", "unknown" if is_device else "")
    return _row(
        name,
        str(attributes.get("kind", kind)),
        ", ".join(resource.groups),
        str(attributes.get("criticality", "")),
        _window(attributes) or ("none" if is_device else ""),
        f"{patch:%Y-%m-%d}" if isinstance(patch, datetime) else str(patch),
    )


def _window(attributes: Mapping[str, Value]) -> str:
    """``22:00-04:00 +01:00``, empty if the device has no window."""
    names = ("window_start", "window_end", "utc_offset")
    found = [attributes[name] for name in names if name in attributes]
    durations = [value for value in found if isinstance(value, timedelta)]
    if len(durations) < len(names):
        return ""
    start, end, offset = durations
    sign = "-" if offset < timedelta() else "+"
    return f"{_clock(start)}-{_clock(end)} {sign}{_clock(abs(offset))}"


def _clock(duration: timedelta) -> str:
    minutes = duration // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
