"""Each line of ``docs/audit.md`` does what the page says, and the check at its end is the real."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.verify_audit import main
from tests.service.api.test_audit import chain
from tests.service.api.test_recipes import BLOCK, Shell

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

PAGE: Final = Path(__file__).parents[3] / "docs" / "audit.md"
VERIFY: Final = "python -m service verify-audit "


@dataclass
class AuditShell(Shell):
    """A shell that also writes answers into files of a folder, and checks exports there."""

    folder: Path = Path()
    checked: int = 0

    def run(self, line: str) -> None:
        """One line of the page; the worker does its part meanwhile."""
        chain(self.service)
        if line.startswith(VERIFY):
            name, *options = shlex.split(self._filled(line.removeprefix(VERIFY)))
            assert main([str(self.folder / name), *options]) == 0
            self.checked += 1
        elif line.startswith("curl ") and " > " in line:
            command, _, name = line.partition(" > ")
            (self.folder / name).write_text(self.curl(command).text, encoding="utf-8")
        else:
            super().run(line)


def test_every_recipe_of_the_audit_works(service: ServiceUnderTest, tmp_path: Path) -> None:
    """In its order, with the variables that it sets; the export is checked by the command."""
    token = service.acme.id_token("boss", ["managers"])
    shell = AuditShell(service=service, folder=tmp_path)
    shell.variables |= {"API": "http://api.test", "TOKEN": token}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for block in blocks:
        for line in block.strip().splitlines():
            shell.run(line)
    assert (len(blocks), shell.checked) == (4, 1)
