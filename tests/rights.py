"""`python -m tests.rights`: which right each role uses in the journeys, written to docs/rights.md.

It runs the demo and the tests of the deployed service, in which the embedded cloud asks IAM about
every call, and collects who asked for what. A page that says more or less than the roles grant
fails tests/infra/test_rights.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.local.cloud.rights import FILE, Used
from tests.infra.granted import GRANTED, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "rights.md"
JOURNEYS: Final = (
    "tests/journeys/test_demo.py",
    "tests/service/adapters/on_the_embedded_cloud",
    "tests/infra/local/resources/test_resources.py",
)
HEAD: Final = """# What each role may do, and where it does it

Every action that a role of the stacks grants ([`infra/stacks/`](../infra/stacks/)). *Journeys* are
`make demo` and the tests of the deployed service, in which the embedded cloud asks IAM about each
call of service, worker and signed URL; one that its role does not allow fails them. For `deploy`,
[a candidate for the role that stamps](adr/0070-the-deploy-role-is-a-candidate.md), they are tests
that stamp, refresh, change and destroy both stacks in its sessions. Made by
`python -m tests.rights`; a test holds it to the roles.

"""


def used_by(lines: Iterable[str]) -> dict[str, set[str]]:
    """Kind of role -> actions that it was allowed in the journeys."""
    found: dict[str, set[str]] = {}
    for line in lines:
        used = Used.of(line.strip())
        if used.allowed and (kind := role_of(used.role)):
            found.setdefault(kind, set()).add(used.action)
    return found


def page(used: dict[str, set[str]]) -> str:
    """The page: a row for each right, with where it is used or why it is granted nevertheless."""
    rows = ["| role | action | used |", "|---|---|---|"]
    for kind, role in GRANTED.items():
        for action in sorted(role.actions):
            where = "journeys" if action in used.get(kind, ()) else role.unseen.get(action, "?")
            rows.append(f"| {kind} | `{action}` | {where} |")
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Run the journeys and write the page; 1: a right has neither use nor reason."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rights"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", *JOURNEYS],
            cwd=ROOT,
            env=os.environ | {FILE: str(file)},
            check=False,
        )
        if ended.returncode:
            return ended.returncode
        text = page(used_by(file.read_text().splitlines()))
    PAGE.write_text(text)
    print(f"{PAGE.relative_to(ROOT)}: {text.count('| journeys |')} rights used in the journeys")
    return int("| ? |" in text)


if __name__ == "__main__":
    sys.exit(main())
