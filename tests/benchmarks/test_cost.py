"""`docs/cost.md` says what follows from the program, the calls that are counted and the prices."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from infra.stacks.config.platform import PlatformConfig
from service.domain.isolation import Part
from tests.benchmarks import cost

BILL = cost.Bill(cost.UNITS)
TEXT = cost.PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_tables_as_they_are_computed() -> None:
    """Each table, and none under a heading that the page lacks."""
    assert cost.rewritten(TEXT) == TEXT
    assert [heading for heading in BILL.blocks() if f"\n## {heading}\n" not in TEXT] == []
    assert f"read on {cost.READ_ON}" in TEXT


def test_another_price_is_another_page() -> None:
    """Else the test above could not fail: each price of the list is in a sum."""
    for name, unit in cost.UNITS.items():
        if name == "nat-gb":
            continue  # stands in the words, since it goes by what a tenant's people do
        dearer = dict(cost.UNITS) | {name: replace(unit, dollars=unit.dollars * 2)}
        changed = [
            heading
            for heading, lines in cost.Bill(dearer).blocks().items()
            if lines != BILL.blocks()[heading]
        ]
        assert len(changed) > 1, f"{name} is in no sum: {changed}"


def test_the_sums_are_of_the_rows() -> None:
    """A million commands cost what their parts cost; twice the tenants, twice the tenants' part."""
    one = BILL.fleet(tenants=1, devices_each=1000, commands_a_day=0, machines=0)
    two = BILL.fleet(tenants=2, devices_each=1000, commands_a_day=0, machines=0)
    fixed = sum(row.dollars for row in BILL.platform())
    assert two - one == pytest.approx(one - fixed)
    busy = BILL.fleet(tenants=1, devices_each=1000, commands_a_day=1000 * 24 / 730, machines=0)
    assert busy - one == pytest.approx(sum(row.dollars for row in BILL.commands()))


def test_the_figures_of_the_program_are_the_programs() -> None:
    """Tasks are as many as a file that says nothing gets."""
    fields = {one.name: one for one in msgspec.structs.fields(PlatformConfig)}
    assert fields["tasks_min"].default == cost.TASKS_MIN


def test_a_trial_of_the_boundary_has_a_price_for_each_part() -> None:
    """All parts cost but the one of people, and trials are as often as the worker's."""
    assert sum(cost._OF_A_TRIAL.values()) == len(Part) - 1
    assert cost.TRIED_SECONDS == 300
