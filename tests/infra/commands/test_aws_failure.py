"""A command that AWS was not asked for says what to set, the same words in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from botocore.exceptions import NoRegionError, ProfileNotFound

from infra.__main__ import main
from infra.commands.aws_failure import words

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS: Final = (
    "backups list",
    "devices compare acme",
    "devices export acme",
    "devices revoke acme press-07",
    "policies diff acme",
    "tenants export acme --to {folder}",
    "tenants freeze acme --reason recall",
    "tenants invite acme kim@acme.example",
    "tenants resume acme",
    "tenants suspend acme --reason unpaid",
    "tenants thaw acme",
    "tenants usage acme",
)
NAMES: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_without_credentials_says_what_to_set(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    """Nobody has to know which command takes its cloud from where."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main([word.format(folder=tmp_path) for word in command.split()]) == 1
    said = capsys.readouterr().err
    assert "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and " in said
    assert 'eval "$(python -m infra.local.aws environment)"' in said


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (NoRegionError(), "no AWS region: set AWS_REGION; "),
        (ProfileNotFound(profile="acme"), "The config profile (acme) could not be found; "),
    ],
)
def test_region_and_profile_are_named_too(error: Exception, begins: str) -> None:
    """Whatever is missing, the laptop's way is told beside it; other errors keep their words."""
    assert words(error).startswith(begins)
    assert words(error).endswith('eval "$(python -m infra.local.aws environment)"')
    assert words(ValueError("as it is")) == "as it is"
