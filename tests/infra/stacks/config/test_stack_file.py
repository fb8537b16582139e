"""The YAML of a stack file: what is none, and a date without its offset, is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.stacks.config import stack_file
from infra.stacks.config.reading import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def refusal(root: Path, text: str) -> str:
    """Why a file of this text is refused."""
    (root / "tenants").mkdir()
    (root / "tenants" / "Pulumi.acme.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        stack_file.load(root, "acme")
    return str(refused.value).removeprefix("tenants/Pulumi.acme.yaml: ")


@pytest.mark.parametrize("moment", ["2026-12-24", "2026-12-24T18:00:00", "2026-12-24 18:00:00"])
def test_date_without_offset_is_refused(tmp_path: Path, moment: str) -> None:
    """Wherever it stands, it is shown with its place and with what would be right."""
    words = refusal(tmp_path, f"config: {{cedarfleet:tenant: {{grants: [{{until: {moment}}}]}}}}")
    assert words == (
        f"cedarfleet:tenant.grants[0].until: `{moment.replace(' ', 'T')}` has no offset: write a "
        "moment such as 2026-12-31T18:00:00+01:00, and a text in quotes"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold a mapping `config`"),
        ("[]", "must hold a mapping `config`"),
        ("config: []", "must hold a mapping `config`"),
    ],
)
def test_file_without_config_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """What is no YAML or holds no configuration is refused by the file's name."""
    assert refusal(tmp_path, text).startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ":1: is not YAML: expected the node content, but found '<stream end>' at column 2"),
        (
            "config:\n  name: a: b\n",
            ":2: is not YAML: mapping values are not allowed here at column 10",
        ),
        (
            "config:\n  groups:\n    managers: x\n   operators: y\n",
            (
                ":4: is not YAML: expected <block end>, but found '<block mapping start>' at "
                "column 4, "
                "while parsing a block mapping that begins in line 2"
            ),
        ),
        (
            'config:\n  a: "x\n  b: y\n',
            (
                ":4: is not YAML: found unexpected end of stream at column 1, "
                "while scanning a quoted scalar that begins in line 2"
            ),
        ),
        (
            "config:\n  grants: [a]\n  lines: []\n  grants: [b]\n",
            (
                ":4: is not YAML: the key `grants` stands a second time at column 3, "
                "after one that begins in line 2"
            ),
        ),
        (
            "config:\n\ta: 1\n",
            (
                ":2: is not YAML: found character '\\t' that cannot start any token at column 1: "
                "indent with blanks, a tab is none"
            ),
        ),
        (
            "config:\n  a: b: c\n",
            (
                ":2: is not YAML: mapping values are not allowed here at column 7: a text with "
                "`: ` in it stands in quotes, and a key begins in the column of those beside it"
            ),
        ),
        (
            'config:\n  a: "b" c\n',
            (
                ":2: is not YAML: expected <block end>, but found '<scalar>' at column 10: a text "
                "with quotes in it stands in quotes whole"
            ),
        ),
        (
            "config:\n  a: @b\n",
            (
                ":2: is not YAML: found character '@' that cannot start any token at column 6: a "
                "text that begins with it stands in quotes"
            ),
        ),
        ("config: {a: 1, a: 2}", ":1: is not YAML: the key `a` stands a second time at column 16"),
        ("config: \0", ": is not YAML: "),
    ],
)
def test_a_slip_in_yaml_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    """Where the reader stopped, why, and what it was reading, in one line."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "Pulumi.acme.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        stack_file.load(tmp_path, "acme")
    assert str(refused.value).startswith(f"tenants/Pulumi.acme.yaml{words}")
    assert "\n" not in str(refused.value)


def test_a_merged_key_may_be_said_again(tmp_path: Path) -> None:
    """What `<<` brings may be said otherwise: that is what a merge is for."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "Pulumi.acme.yaml").write_text(
        "config:\n  a: &a {x: 1, y: 2}\n  b: &b {<<: *a, x: 3}\n  c: {<<: *b, x: 4}\n"
    )
    assert stack_file.load(tmp_path, "acme") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
        "c": {"x": 4, "y": 2},
    }
