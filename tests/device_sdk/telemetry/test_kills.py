"""A device killed while it publishes: nothing that was kept is lost, and the order stays."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.device_sdk.telemetry import publishing_process
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = (4, 250)  # bounded and in full
_MOST = 100_000  # more than any life publishes


def lines_of_a_life(folder: Path, first: int, most: int, *, until: int | None) -> list[list[str]]:
    """What a process told, killed after ``until`` lines; ``None``: it ends by itself."""
    script = str(Path(publishing_process.__file__))
    with subprocess.Popen(
        [sys.executable, script, str(folder), str(first), str(most)],
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        told = bytearray()
        while until is not None and told.count(b"\n") < until:
            part = os.read(process.stdout.fileno(), 65_536)
            assert part, "it ended by itself"
            told += part
        if until is not None:
            process.kill()
        told += process.stdout.read()
    assert until is not None or process.returncode == 0
    return [line.split() for line in told.decode().split("\n")[:-1]]


@pytest.mark.soak
def test_a_killed_device_loses_no_value_and_keeps_order(
    tmp_path: Path,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """Each kept value arrives, first in its order, and a copy is known as one by its number."""
    seed, kills = new_seed(), faults(*KILLS)
    chance = random.Random(seed)  # noqa: S311 - moments of a test
    told: list[list[str]] = []
    for number in range(kills + 1):
        # One value more than was told may have been kept: the kill came before its line.
        known = max((int(line[-1]) for line in told if line[0] != "lost"), default=0)
        last = number == kills
        until = None if last else chance.randint(1, 400)
        told += lines_of_a_life(tmp_path, known + 2, 5 if last else _MOST, until=until)
    kept = {int(line[1]) for line in told if line[0] == "kept"}
    arrived: dict[int, int] = {}  # value by sequence, in order of first arrival
    sent = [(int(line[1]), int(line[2])) for line in told if line[0] == "sent"]
    for sequence, value in sent:
        assert arrived.setdefault(sequence, value) == value, f"seed {seed}: one number, two values"
    record_property(
        "faults", f"{kills} kills, {len(kept)} values kept, {len(sent) - len(arrived)} sent again"
    )
    assert [line for line in told if line[0] == "lost"] == []
    assert kept - set(arrived.values()) == set(), f"seed {seed}: lost"
    assert list(arrived) == sorted(arrived), f"seed {seed}: out of order"
    assert list(arrived.values()) == sorted(arrived.values()), f"seed {seed}: out of order"
    # Few kills may all have come at another moment.
    assert kills < KILLS[1] or len(sent) > len(arrived) + kills, "the kills prove too little"
