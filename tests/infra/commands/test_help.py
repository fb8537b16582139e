"""The operator's command says itself what it can do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.__main__ import GROUPS

ROOT = Path(__file__).parents[3]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m infra` with arguments, as an operator runs it."""
    words = [sys.executable, "-m", "infra", *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_explains_every_verb() -> None:
    """Each verb of each group stands in the first help with what it does."""
    done = command("--help")

    assert (done.returncode, done.stderr) == (0, "")
    lines = {tuple(line.split()) for line in done.stdout.splitlines()}
    for group in GROUPS:
        for verb, what in group.VERBS.items():
            assert (group.GROUP, verb, *what.split()) in lines


def test_missing_verb_is_refused() -> None:
    """Without a group or a verb there is nothing to do: the usage says what is missing."""
    for arguments, missing in (((), "GROUP"), (("policies",), "VERB")):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"the following arguments are required: {missing}" in done.stderr
