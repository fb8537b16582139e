"""`make enroll`: where the code of a device lies, beside which its private key will."""

from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING

from infra.local.enroll import keep

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def test_a_devices_folder_comes_into_no_commit(tmp_path: Path) -> None:
    """The code is its owner's alone, and `git add .` takes neither it nor the key along."""
    git(tmp_path, "init", "--quiet")
    for code in ("first", "second"):  # a lost one is written again
        keep(tmp_path / "press-42", code)
    (tmp_path / "press-42" / "device.key").write_text("a key")
    written = tmp_path / "press-42" / "code"
    assert (written.read_text(), stat.S_IMODE(written.stat().st_mode)) == ("second\n", 0o600)
    git(tmp_path, "add", ".")
    assert git(tmp_path, "status", "--porcelain") == ""
