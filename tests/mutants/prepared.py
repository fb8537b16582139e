"""A process that has read what every test needs, and forks into pytest: a mutant costs no start.

Run by its path, so that nothing of the project is imported before the fork. Reads lines of JSON
``{"root", "arguments", "seconds"}`` and answers each with pytest's exit code, or 124 for a run
that did not end in time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
from importlib.metadata import entry_points
from typing import Final

import pytest
from _pytest.config import default_plugins

HANGS: Final = 124
MOST_BYTES: Final = 2 << 30  # of a mutant that fills a list without end, and then fails
_READ_BEFORE: Final = (
    "boto3.dynamodb.types",
    "botocore.parsers",
    "cedarpy",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.x509",
    "httpx",
    "hypothesis.strategies",
    "jwt",
    "litestar.testing",
    "structlog",
    "uvicorn",
)
# A plugin that comes with Litestar's own test tools, and reads words of seventy languages.
_WITHOUT: Final = "faker"


def serve() -> None:
    """Answer line by line until there are no more."""
    sys.path.pop(0)  # this file's own folder
    parts = (f"_pytest.{name}" for name in default_plugins)
    for name in (*_READ_BEFORE, *parts):
        importlib.import_module(name)
    for plugin in entry_points(group="pytest11"):
        if plugin.name != _WITHOUT:
            plugin.load()
    # Else each child would go through all of that, and copy it, whenever pytest collects garbage.
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        print(run(asked["root"], asked["arguments"], asked["seconds"]), flush=True)


def run(root: str, arguments: list[str], seconds: float) -> int:
    """Exit code of pytest in a child of this process, which ends after ``seconds``."""
    child = os.fork()
    if child == 0:
        os._exit(_test(root, arguments))
    end = time.monotonic() + seconds
    code = None
    while code is None and time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            ended, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
        time.sleep(0.01)
    # The session that it leads: what its tests have left, and itself if it hangs.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
        return HANGS
    return code


def _test(root: str, arguments: list[str]) -> int:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    os.chdir(root)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    # Before the checkout's own: also for the processes that tests start.
    own = [root, os.path.join(root, "device_sdk", "src")]  # noqa: PTH118 - no more imports here
    sys.path[:0] = own
    os.environ["PYTHONPATH"] = os.pathsep.join(own)
    # The assertions of plugins are not rewritten, since they are read already: they are no tests.
    quiet = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
    return int(pytest.main(["-p", f"no:{_WITHOUT}", *quiet, *arguments]))


if __name__ == "__main__":
    serve()
