"""`people.json`: written whole and for one user alone, and read again by the next `make up`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.api import main
from infra.local.people_file import FILE, PeopleFile, write_private

if TYPE_CHECKING:
    from pathlib import Path

PERSON = {"email": "manager@acme.example", "password": "p", "token": "t"}
DOCUMENT = {"acme": {"managers": PERSON}, "api": "http://127.0.0.1:4711"}


def test_what_was_written_is_known_again(tmp_path: Path) -> None:
    """The API's port, the passwords by address, and who stands for a group."""
    write_private(tmp_path / FILE, DOCUMENT)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == [FILE]
    read = PeopleFile.read(tmp_path)
    assert (read.api, read.port) == ("http://127.0.0.1:4711", 4711)
    assert read.passwords("acme") == {"manager@acme.example": "p"}
    assert read.email("acme", "managers") == "manager@acme.example"
    assert (read.passwords("globex"), read.email("acme", "operators")) == ({}, None)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps(DOCUMENT)[:40], '{"api": "x", "acme": 1}', '{"api": "http://a:b"}'],
)
def test_a_file_of_another_form_holds_nothing(tmp_path: Path, text: str) -> None:
    """One that was cut short by a kill stops no start: passwords and port are drawn anew."""
    (tmp_path / FILE).write_text(text)
    read = PeopleFile.read(tmp_path)
    assert (read.port, dict(read.people)) == (0, {})


def test_a_call_without_make_up_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No API is known, or no cloud is described: one line, exit code 1."""
    call = ["-s", "acme", "--as", "managers", "GET", "/v1/me", "--state", str(tmp_path)]
    assert main(call) == 1
    assert "no API is known in " in capsys.readouterr().err
    write_private(tmp_path / FILE, DOCUMENT)
    assert main(call) == 1
    assert "cloud.json does not exist: run `make up` first" in capsys.readouterr().err
