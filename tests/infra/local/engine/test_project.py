"""`Pulumi.yaml` and the stacks' files, read as the CLI reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import ProjectError
from infra.local.engine.keyring import Crypter
from infra.local.engine.project import Project

if TYPE_CHECKING:
    from pathlib import Path

_PROJECT = """
name: store
runtime: {name: python, options: {virtualenv: .venv}}
main: program/
stackConfigDir: stacks
config:
  aws:region: eu-central-1
  pulumi:disable-default-providers: {value: [aws]}
  store:days: {type: integer, default: 30}
  code: {type: string, secret: true, default: open}
"""


def project(root: Path, stack: str = "config: {}\n", text: str = _PROJECT) -> Project:
    """A project with one stack `dev`."""
    (root / "Pulumi.yaml").write_text(text)
    for name in ("stacks", "program"):
        (root / name).mkdir(exist_ok=True)
    (root / "stacks" / "Pulumi.dev.yaml").write_text(stack)
    return Project.read(root)


def test_the_project_names_its_program_and_where_its_stacks_are(tmp_path: Path) -> None:
    """`main` is a folder or a file; stacks are the files of `stackConfigDir`."""
    found = project(tmp_path)
    assert (found.name, found.program, found.stacks()) == (
        "store",
        tmp_path / "program" / "__main__.py",
        ["dev"],
    )


def test_values_are_text_and_lists_are_json_text(tmp_path: Path) -> None:
    """Own keys get the project's name, values become text, defaults merge, secrets are marked."""
    stack = (
        "config:\n  size: 12\n  store:flag: true\n  store:list: [1, {a: b}]\n  other:key: 1.5\n  "
        "store:days: 7\n"
    )
    found = project(tmp_path, stack).stack_config("dev")
    assert found.values == {
        "aws:region": "eu-central-1",
        "pulumi:disable-default-providers": '["aws"]',
        "store:days": "7",
        "store:code": "open",
        "store:size": "12",
        "store:flag": "true",
        "store:list": '[1,{"a":"b"}]',
        "other:key": "1.5",
    }
    assert found.secret_keys == {"store:code"}
    assert found.flag("pulumi:disable-default-providers") == ["aws"]


def test_values_under_a_passphrase_are_decrypted(tmp_path: Path) -> None:
    """A `secure:` value of the passphrase provider needs the passphrase, and becomes a secret."""
    crypter = Crypter("for this test")
    stack = (
        f"encryptionsalt: {crypter.salt_state}\nconfig:\n  store:key: {{secure: "
        f"'{crypter.encrypt('sesame')}'}}\n"
    )
    found = project(tmp_path, stack)
    config = found.stack_config("dev", "for this test")
    assert (config.values["store:key"], "store:key" in config.secret_keys) == ("sesame", True)
    assert "sesame" not in repr(config)
    with pytest.raises(
        ProjectError, match="`store:key` is encrypted: set PULUMI_CONFIG_PASSPHRASE"
    ):
        found.stack_config("dev")


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ("config: {store:days: soon}", r"`store:days` must be of type integer, not `soon`"),
        (
            "config: {store:key: {secure: v1:x:y}}",
            r"encrypted by a provider that only the Pulumi CLI can ask",
        ),
        ("config: {store:list: [{secure: v1:x:y}]}", r"`secure` value inside a list or map"),
        ("config: [", r"Pulumi\.dev\.yaml is not YAML"),
        (
            "config:\n  store:days: 3\n  store:days: 4\n",
            r"Pulumi\.dev\.yaml is not YAML: line 3, column 3: the key `store:days` stands",
        ),
        ("- config", r"Pulumi\.dev\.yaml must hold a map"),
    ],
)
def test_a_stack_file_that_cannot_be_used_is_named_with_its_key(
    tmp_path: Path, stack: str, words: str
) -> None:
    """The error says which file and which key."""
    with pytest.raises(ProjectError, match=words) as raised:
        project(tmp_path, stack).stack_config("dev")
    assert "Pulumi.dev.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("runtime: python", "`name` is missing"),
        ("name: store\nruntime: go", "`runtime` must be python"),
        ("name: store\nruntime: python\nconfig: {size: {type: number}}", "no such type `number`"),
        (
            "name: store\nruntime: python\nconfig: {size: {type: integer}}",
            "missing configuration value `store:size`",
        ),
    ],
)
def test_a_project_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    """Also a key that is declared without default and that the stack does not set."""
    with pytest.raises(ProjectError, match=words):
        project(tmp_path, text=f"{text}\nstackConfigDir: stacks\n").stack_config("dev")


def test_a_stack_without_file_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    """A misspelt stack is not an empty one."""
    with pytest.raises(
        ProjectError, match=r"no stack `de`: .*Pulumi\.de\.yaml does not exist; there are: dev"
    ):
        project(tmp_path).stack_config("de")


def test_timestamps_are_what_the_cli_makes_of_them(tmp_path: Path) -> None:
    """Without quotes YAML reads a moment, which Go prints; in quotes it is a text."""
    stack = (
        "config:\n  day: 2026-12-24\n  store:list:\n    - 2026-12-24T18:00:00Z\n"
        '    - 2026-12-24T18:00:00.250+01:00\n    - "2026-12-24T18:00:00Z"\n'
    )
    found = project(tmp_path, stack).stack_config("dev")
    assert found.values["store:day"] == "2026-12-24 00:00:00 +0000 UTC"
    assert json.loads(found.values["store:list"]) == [
        "2026-12-24 18:00:00 +0000 UTC",
        "2026-12-24 18:00:00.25 +0100 +0100",
        "2026-12-24T18:00:00Z",
    ]
