"""Who may do what to which device, as one table that people can read: ``policies/matrix.md``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from infra.policies import fleet
from infra.policies.evaluator import Evaluator, bound
from infra.policies.load import load
from infra.policies.personas import PERSONAS, Persona

if TYPE_CHECKING:
    from pathlib import Path

    from infra.policies.question import Target

FILE: Final = "matrix.md"
_HEAD: Final = """\
# Who may do what

Written by `python -m infra policies matrix --write`; a test keeps it true. The decisions are those of the base policies
with the grants of the reference fleet (`infra/policies/fleet.py`); a tenant's own policies come on top. `yes` and `no`
name the deciding policies; a bare `no` means that nothing permits it; an empty cell, that the action does not apply.

The time is 2026-11-22T23:00Z unless the heading says noon, which is 11:00Z.

| | kind | groups | criticality | maintenance window (local) | last patch |
|---|---|---|---|---|---|
"""


def render(root: Path) -> str:
    """The whole file.

    Raises:
        PolicyError: the policies are not valid.
    """
    policies = bound(load(root, fleet.REFERENCE), tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)
    evaluator = Evaluator(policies, tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)
    lines = [_HEAD + "\n".join(_device_row(name, target) for name, target in fleet.TARGETS.items())]
    lines += [_section(evaluator, persona) for persona in PERSONAS]
    return "\n\n".join(lines) + "\n"


def _section(evaluator: Evaluator, persona: Persona) -> str:
    asked = fleet.ask(persona.who, persona.about, fleet.TARGETS)
    cells = {(action, name): str(evaluator.decide(question)) for action, name, question in asked}
    rows = [
        (action, tuple(cells.get((action, name), "") for name in fleet.TARGETS))
        for action in fleet.ACTIONS
    ]
    lines = [
        f"## {persona.title}",
        "",
        _row("", *fleet.TARGETS),
        _row(*("---" for _ in range(len(fleet.TARGETS) + 1))),
    ]
    for decisions, same in itertools.groupby(rows, key=lambda row: row[1]):
        lines.append(_row(", ".join(action for action, _ in same), *decisions))
    return "\n".join(lines)


def _device_row(name: str, target: Target) -> str:
    about = target.attributes
    patch = about.get("security_patch", "unknown" if target.kind == "device" else "")
    window = (
        f"{about['window']} {about['utc_offset']}"
        if "window" in about
        else "none"
        if target.kind == "device"
        else ""
    )
    return _row(
        name,
        about.get("kind", target.kind),
        ", ".join(target.groups),
        about.get("criticality", ""),
        window,
        patch,
    )


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
