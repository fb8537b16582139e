"""Power cuts: agents are killed while commands come in, wait, run and are reported."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pytest
from cedarfleet_device.wire import CommandState

from tests.device_sdk.commands.killed_device import KilledDevice, Phase
from tests.device_sdk.conftest import ObservedBroker
from tests.device_sdk.devices import Observer
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cedarfleet_device.wire import CommandMessage, StatusMessage

    from tests.soak import SoFar

HITS = (15, 1020)  # commands that are each under way when the power goes, bounded and in full
COMMANDS = (0, 5000)  # that devices get from a broker that dies as well, at least, likewise
BROKER_LIVES_SECONDS = (1.0, 8.0)
PARALLEL = (1, 2, 8)  # how many handlers each device runs at once


class DyingBroker:
    """Kills a broker and starts it again at random moments, in a thread of its own.

    Args:
        broker: None: nothing is killed.
        chance: draws the moments.
    """

    def __init__(self, broker: Mosquitto | None, chance: random.Random) -> None:
        self.kills = 0
        self._broker, self._chance = broker, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def _kill(self) -> None:
        while self._broker is not None:
            over = self._over.wait(self._chance.uniform(*BROKER_LIVES_SECONDS))
            if over and self.kills:
                return
            self._broker.kill()
            self.kills += 1
            self._over.wait(self._chance.uniform(0, 1))  # in which nobody listens
            self._broker.start()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture(params=["embedded cloud", "mosquitto"])
def failing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObservedBroker]:
    """Either broker; the second may be killed, and holds then what it held."""
    if request.param == "embedded cloud":
        yield ObservedBroker(
            broker=request.getfixturevalue("tenant"), observer=request.getfixturevalue("observer")
        )
        return
    if PROGRAM is None:
        pytest.skip("install mosquitto (Debian package of that name) to kill a broker")
    with (
        Mosquitto(tmp_path_factory.mktemp("mosquitto"), lasting=True) as broker,
        Observer(host=broker.host, port=broker.port, tls=broker.tls("observer")) as observer,
    ):
        yield ObservedBroker(broker=broker, observer=observer)


@pytest.mark.soak(seconds=2 * 3600)
@pytest.mark.timeout(200)
def test_no_command_is_lost_or_run_twice_over_kills(
    failing: ObservedBroker,
    tmp_path: Path,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
    so_far: SoFar,
):
    """Each command hit by a kill ends once and truly; only idempotent ones begin twice."""
    seed = new_seed()
    wanted = faults(*HITS)
    mortal = failing.broker if isinstance(failing.broker, Mosquitto) else None
    commands = faults(*COMMANDS) if mortal else 0
    devices = [
        KilledDevice(
            failing.broker.device(
                tmp_path / f"device-{number}", settings={"commands.parallel": parallel}
            ),
            broker=failing.broker,
            observer=failing.observer,
            chance=random.Random(f"{seed}-{number}"),  # noqa: S311 - moments, not secrets
            broker_dies=mortal is not None,
        )
        for number, parallel in enumerate(PARALLEL)
    ]
    began = time.monotonic()
    for device in devices:
        device.subscribe()

    def proved() -> bool:
        """Whether a command of each phase was hit: how rare some are depends on the machine."""
        cuts = sum(device.cuts for device in devices)
        sent = sum(len(device.commands) for device in devices)
        so_far(f"{cuts} kills of agents and {dying.kills} of the broker, {sent} commands")
        hit = {
            phase for device in devices for phases in list(device.hits.values()) for phase in phases
        }
        return hit >= set(Phase) - {Phase.REPORTED}

    moments = random.Random(f"{seed}-broker")  # noqa: S311 - as above
    with DyingBroker(mortal, moments) as dying, ThreadPoolExecutor(len(devices)) as pool:
        ends_of = [
            pool.submit(
                device.lose_power_until,
                hits=wanted // len(devices),
                commands=commands // len(devices),
                proved=proved,
            )
            for device in devices
        ]
    for each in ends_of:
        each.result()

    ends = Counter[str]()
    for device in devices:
        journal = device.journal()
        for command in device.commands:
            statuses = failing.observer.statuses.get(command.command_id, [])
            if command.command_id in device.unseen and not any(s.state.is_final for s in statuses):
                assert journal[f"begin {command.command_id}"] <= 1 or command.name == "repeatable"
                ends["end that died with the broker"] += 1
                continue
            ends[
                _true_end(command, statuses, journal, device.hits.get(command.command_id, []))
            ] += 1
    phases = Counter[str](
        phase for device in devices for hits in device.hits.values() for phase in hits
    )
    under_way = sum(device.under_way for device in devices)
    record_property(
        "faults",
        f"{sum(device.cuts for device in devices)} kills of agents and {dying.kills} of the broker"
        f" in {time.monotonic() - began:.0f} s"
        f" met {under_way} of {sum(len(device.commands) for device in devices)} commands"
        f" under way; {_listed(phases)}; {_listed(ends)}",
    )
    assert under_way >= wanted
    assert mortal is None or dying.kills
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
