"""What ``load`` says of the project with one more policy of a tenant, or with more grants."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.policies import Grant, PolicyError, TenantPolicies, load

if TYPE_CHECKING:
    from pathlib import Path


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
        groups = frozenset({"certified-line-press", "quality-inspectors"})
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
