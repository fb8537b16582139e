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
        ("{", "is not YAML: "),
        ("", "must hold a mapping `config`"),
        ("[]", "must hold a mapping `config`"),
        ("config: []", "must hold a mapping `config`"),
    ],
)
def test_file_without_config_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """What is no YAML or holds no configuration is refused by the file's name."""
    assert refusal(tmp_path, text).startswith(words)
