"""What ``load`` says of the project with one more policy of a tenant, or with more grants."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from infra.policies import Grant, PolicyError, TenantPolicies, load
from infra.policies.files.load import read_schema

_DECLARED: Final[dict[str, Any]] = json.loads(read_schema(Path(__file__).parents[4] / "policies"))
_ACTIONS: Final[dict[str, Any]] = _DECLARED["Fleet"]["actions"]
ACTIONS: Final = ", ".join(sorted(_ACTIONS))
"""All actions and their groups, as a message lists them."""
CHANGING: Final = ", ".join(
    sorted(
        name
        for name, action in _ACTIONS.items()
        if "appliesTo" in action and {"id": "View"} not in action["memberOf"]
    )
)
"""The actions that are not in View."""


def refusal(
    files: Path,
    *,
    own: str = "",
    name: str = "mine",
    grants: tuple[Grant, ...] = (),
    known: bool = False,
) -> list[str]:
    """What ``load`` says with one more policy; the tenant's groups and lines may be known."""
    folder = files / "tenants" / "acme" / "policies"
    if own:
        (folder / f"{name}.cedar").write_text(own, encoding="utf-8")
    tenant = TenantPolicies(tenant="acme", folder=folder, grants=grants)
    if known:
        groups = frozenset(
            {"certified-line-press", "it-staff", "quality-inspectors", "technicians"}
        )
        tenant = replace(tenant, groups=groups, lines=frozenset({"line-press"}))
    with pytest.raises(PolicyError) as refused:
        load(files / "policies", tenant)
    return [str(problem) for problem in refused.value.problems]


def grant(**changes: object) -> Grant:
    """A good grant with changes."""
    good: dict[str, object] = {
        "id": "g",
        "template": "certified-for-line",
        "principal": 'Fleet::Group::"certified-line-press"',
        "resource": 'Fleet::DeviceGroup::"line-press"',
    }
    return Grant(**{**good, **changes})  # pyright: ignore[reportArgumentType]
