"""The table of who may do what."""

from __future__ import annotations

from pathlib import Path

from infra.policies.cases.matrix import FILE, render

POLICIES = Path(__file__).parents[2] / "policies"


def test_table_is_what_the_policies_decide():
    """``policies/matrix.md`` is true; ``python -m infra policies matrix --write`` rewrites it."""
    assert (POLICIES / FILE).read_text(encoding="utf-8") == render(POLICIES)


def test_nothing_of_another_tenant_is_ever_allowed():
    """In every row the last column, another tenant's device, refuses and names the guard."""
    rows = [
        line
        for line in render(POLICIES).splitlines()
        if line.startswith("| ") and line.count("|") == 9
    ]
    last = [row.split("|")[-2].strip() for row in rows]
    decisions = [cell for cell in last if cell.startswith(("yes", "no"))]
    assert len(decisions) > 100
    assert all(cell.startswith("no: ") and "tenant-guard" in cell for cell in decisions)
