"""The page of what is known of AWS and the check's table name the same rows, word for word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from infra.aws_check.asking import PROBES
from infra.aws_check.rows import ROWS

PAGE: Final = Path(__file__).parents[3] / "docs" / "aws-fidelity.md"
UNSEEN: Final = re.compile(r"not run|assumed|emulator|kinder")


def page_rows() -> dict[str, tuple[str, str]]:
    """Statement -> how it is known, and what settles it."""
    cells = [
        [cell.strip() for cell in line.strip("| \n").split(" | ")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and not line.startswith(("|---", "| statement"))
    ]
    return {statement: (how, settled) for statement, how, settled in cells}


def test_page_and_table_name_the_same_rows() -> None:
    """Each row that a call could settle stands in both, with its call or the reason."""
    table = {row.statement: row.calls or f"no call: {row.reason}" for row in ROWS}
    page = {statement: settled for statement, (_, settled) in page_rows().items() if settled != "-"}

    assert page == table


def test_what_nobody_has_seen_has_a_row() -> None:
    """A statement that is assumed, emulated or not run is settled by a call, or says why not."""
    unsettled = [
        statement
        for statement, (how, settled) in page_rows().items()
        if UNSEEN.search(how) and settled == "-"
    ]

    assert unsettled == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_row_has_a_probe_or_a_reason(row: object) -> None:
    """Never both, never none."""
    asked = [each for rows, _ in PROBES for each in rows]
    found = next(each for each in ROWS if each is row)

    assert bool(found.calls) is not bool(found.reason)
    assert asked.count(found.id) == bool(found.calls)
