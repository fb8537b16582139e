"""`make demo`, as a user runs it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_tells_the_whole_story_and_ends_by_itself() -> None:
    """Every step of the main job happens; the exit code says so."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for told in (
        "only recorded, not made here",
        "identical (SHA-256)",
        "403, decided by `operators-view-only`",
        "acme: succeeded",
        "acme's token at globex's policy store: refused",
        "403, decided by `firmware-in-maintenance-window`",
        "All 19 steps happened",
    ):
        assert told in done.stdout
