"""Every command of the operator's page is one that `python -m infra` takes."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from infra import __main__ as program
from infra.commands import tenants
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "operations.md").read_text()
COMMAND = re.compile(r"(?:^\s*|`)(?:\w+=\S+ )*python -m infra ([^`\n#]+)", re.MULTILINE)
LINES = sorted({line.partition(" > ")[0] for line in COMMAND.findall(PAGE)})
STANDS_FOR = {
    "<tenant>": "acme",
    "<account>": "123456789012",
    "<moment>": "2026-12-31T18:00:00+01:00",
    "<restored>": "cedarfleet-devices-restored-20261231T170000Z",
    "<report>": "report.json",
    "<device group>": "line-press",
    "<device>": "press-07",
    "<folder>": "left",
    "<why>": "why",
    "<e-mail>": "ana@acme.example",
    "<job>": "acme--move-1",
}


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_page_is_taken(line: str, tmp_path: Path) -> None:
    """Its verb, words and switches are known; nothing is run."""
    (tmp_path / "acme.jsonl").write_text("")
    line = line.replace("acme.jsonl", str(tmp_path / "acme.jsonl"))
    for placeholder, word in STANDS_FOR.items():
        line = line.replace(f'"{placeholder}"', f'"{word}"').replace(placeholder, word)
    assert "<" not in line
    options = program._parser().parse_args(shlex.split(line))
    assert options.verb in options.group.VERBS


def test_every_verb_of_tenants_stands_on_the_page() -> None:
    """An operator finds each of them there."""
    said = " ".join(LINES)
    missing = {verb for verb in tenants.VERBS if f"tenants {verb}" not in said}
    assert missing <= {"schema"}, "of files, and told by tenants/README.md"
