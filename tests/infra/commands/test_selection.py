"""Each command about tenants takes them alike, and names what is wrong before anything begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from infra import __main__ as program
from infra.__main__ import main
from infra.commands import selection, tenants
from tests.infra.conftest import copy_project

if TYPE_CHECKING:
    from pathlib import Path


OF_ONE: Final = {"move", "new", "invite", "import", "offboard", "destroy", "list", "schema"}
"""What is done to one tenant at a time, or to none."""
NEEDS: Final = {
    "suspend": ["--reason", "unpaid"],
    "freeze": ["--reason", "a recall"],
    "export": ["--to", "left"],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The project's files, and no cloud: nothing may be asked of one."""
    return copy_project(tmp_path)


@pytest.mark.parametrize("verb", [verb for verb in tenants.VERBS if verb not in OF_ONE])
def test_every_command_takes_tenants_alike(
    verb: str, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some by name, all, or those of a tier; one of these, and of a tier that is and has some."""
    asked = ["tenants", verb, *NEEDS.get(verb, [])]
    for words, said in (
        (["--tier", "gold"], "--tier: `gold` is no tier of the platform's file"),
        (["--tier", "enterprise"], "no tenant is of tier `enterprise`; nothing is done"),
        (["initech"], "tenants/Pulumi.initech.yaml: no such file; there are: acme, globex"),
        (["platform"], "`platform` is the platform"),
    ):
        assert main([*asked, *words], root=files) == 1
        assert said in capsys.readouterr().err
    parser = program._parser()
    for words, wanted in (
        (["--tier", "standard"], ["acme"]),
        (["--all"], ["acme", "globex"]),
        (["globex", "acme", "globex"], ["globex", "acme"]),
    ):
        options = parser.parse_args([*asked, *words])
        assert selection.selected(options, files) == wanted
    for words in ([], ["acme", "--all"], ["--all", "--tier", "standard"]):
        with pytest.raises(SystemExit):
            main([*asked, *words], root=files)


def test_several_are_suspended_if_somebody_counted_them(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in a command turns nobody off: how many they are is to be said."""
    before = [file.read_text() for file in sorted((files / "tenants").glob("*.yaml"))]
    for number in ([], ["--confirm", "1"], ["--confirm", "3"]):
        asked = ["tenants", "suspend", "--all", "--reason", "a slip", *number]
        assert main(asked, root=files) == 1
        said = "2 tenants would be turned off: acme, globex; nothing is changed without --confirm 2"
        assert said in capsys.readouterr().err
    assert [file.read_text() for file in sorted((files / "tenants").glob("*.yaml"))] == before
