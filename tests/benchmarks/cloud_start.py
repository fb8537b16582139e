"""How soon an embedded cloud serves, empty and with the state of an earlier run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_SECONDS_AT_MOST: Final = 5.0
_RUN_CLOUD: Final = Path(__file__).parents[1] / "infra/local/cloud/run_cloud.py"


def rows(rounds: int) -> Iterator[Row]:
    """A start in a fresh folder and a second one in the same, in each round."""
    empty: list[float] = []
    kept: list[float] = []
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            empty.append(_seconds(folder))
            kept.append(_seconds(folder))
    for name, seconds in (("empty", empty), ("with state", kept)):
        yield Row(
            name=f"embedded cloud ready, {name}",
            ours=median(seconds),
            unit="s",
            target=f"<= {READY_SECONDS_AT_MOST:g} s",
            met=median(seconds) <= READY_SECONDS_AT_MOST,
            rounds=rounds,
            note=f"worst {max(seconds):.2f} s, from the call to the first answer",
        )


def _seconds(folder: str) -> float:
    command = [sys.executable, str(_RUN_CLOUD), folder, "0", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cloud:
        assert cloud.stdout is not None
        ready = json.loads(cloud.stdout.readline())
        cloud.send_signal(signal.SIGINT)
        cloud.communicate(timeout=30)
    return ready["seconds"]
