"""Power cuts: agents are killed while commands come in, wait, run and are reported."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.wire import CommandState

from tests.device_sdk.commands.killed_device import KilledDevice, Phase
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.wire import CommandMessage, StatusMessage

    from tests.device_sdk.conftest import ObservedBroker

HITS = (15, 1020)  # commands that are each under way when the power goes, bounded and in full
PARALLEL = (1, 2, 8)  # how many handlers each device runs at once


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_no_command_is_lost_or_run_twice_over_kills(
    observed: ObservedBroker,
    tmp_path: Path,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
):
    """Each command hit by a kill ends once and truly; only idempotent ones begin twice."""
    seed = new_seed()
    wanted = faults(*HITS)
    devices = [
        KilledDevice(
            observed.broker.device(
                tmp_path / f"device-{number}", settings={"commands.parallel": parallel}
            ),
            broker=observed.broker,
            observer=observed.observer,
            chance=random.Random(f"{seed}-{number}"),  # noqa: S311 - moments, not secrets
        )
        for number, parallel in enumerate(PARALLEL)
    ]
    began = time.monotonic()
    for device in devices:
        device.subscribe()

    def proved() -> bool:
        """Whether a command of each phase was hit: how rare some are depends on the machine."""
        hit = {
            phase for device in devices for phases in list(device.hits.values()) for phase in phases
        }
        return hit >= set(Phase) - {Phase.REPORTED}

    with ThreadPoolExecutor(len(devices)) as pool:
        ends_of = [
            pool.submit(device.lose_power_until, hits=wanted // len(devices), proved=proved)
            for device in devices
        ]
    for each in ends_of:
        each.result()

    ends = Counter[str]()
    for device in devices:
        journal = device.journal()
        for command in device.commands:
            statuses = observed.observer.statuses[command.command_id]
            ends[
                _true_end(command, statuses, journal, device.hits.get(command.command_id, []))
            ] += 1
    phases = Counter[str](
        phase for device in devices for hits in device.hits.values() for phase in hits
    )
    under_way = sum(device.under_way for device in devices)
    record_property(
        "faults",
        f"{sum(device.cuts for device in devices)} kills in {time.monotonic() - began:.0f} s"
        f" met {under_way} of {sum(len(device.commands) for device in devices)} commands"
        f" under way; {_listed(phases)}; {_listed(ends)}",
    )
    assert under_way >= wanted
    for phase in set(Phase) - {Phase.REPORTED}:
        assert phases[phase], f"no kill hit a command {phase}: the test proves too little"


def _true_end(
    command: CommandMessage, statuses: list[StatusMessage], journal: Counter[str], hits: list[Phase]
) -> str:
    """How the command ended, in words; checks that this is true and was told in order."""
    key = command.command_id
    told: dict[int, StatusMessage] = {}  # by sequence, in order of first arrival
    for each in statuses:
        assert told.setdefault(each.sequence, each) == each, "one number, two states"
    assert list(told) == sorted(told), "states in order of their first arrival"
    finals = [each for each in told.values() if each.state.is_final]
    assert len(finals) == 1, (key, finals)
    assert finals[0].sequence == max(told), "nothing follows the end"
    final = finals[0].state
    begun, ended = journal[f"begin {key}"], journal[f"end {key}"]
    if command.name == "repeatable":
        assert final is CommandState.SUCCEEDED
        assert ended >= 1, "said to have succeeded, but did not"
        return "repeated" if begun > 1 else "succeeded"
    assert begun <= 1, "run twice"
    assert final is (
        CommandState.INTERRUPTED if Phase.RUNNING in hits else CommandState.SUCCEEDED
    ), hits
    if final is CommandState.SUCCEEDED:
        assert ended == 1, "said to have succeeded, but did not"
        return "succeeded"
    if not finals[0].detail.get("begun", True):
        assert not begun, "said never to have begun, but did"
        return "interrupted before it began, and said so"
    # It is on record as begun from before its first line to after its last: the disk cannot tell
    # cuts there apart.
    if not begun:
        return "interrupted before the handler's first line"
    return "interrupted after the handler's last line" if ended else "interrupted"


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {words}" for words, count in counted.most_common())
