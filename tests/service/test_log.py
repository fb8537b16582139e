"""Whatever an event holds, it is one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys

GIVEN: dict[str, object] = {
    "'Käse\\n\\u2028\\x1b[0m'": "Käse\n\u2028\x1b[0m",
    "'half a character: \\ud800'": "half a character: \ud800",
    "('a', {'b': 1})": ["a", {"b": 1}],
    "{('a', 'b'): 1}": {"('a', 'b')": 1},
    "object": "<class 'object'>",
}
PROGRAM = """
import structlog
from service import log
log.configure()
"""


def test_each_event_is_one_line() -> None:
    """Also with what is no JSON, or no text in UTF-8."""
    events = "".join(f"structlog.get_logger().info('tried', given={one})\n" for one in GIVEN)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + events],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert [json.loads(line)["given"] for line in done.stdout.splitlines()] == [*GIVEN.values()]
