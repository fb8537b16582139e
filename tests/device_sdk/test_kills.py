"""Power cuts: the agent is killed at random moments while commands come in, wait, run and are reported."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from cedarfleet_device.wire import CommandState

from tests.device_sdk.field import new_command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.field import Observer, Tenant

ROUNDS = 25  # each ends with a kill
COMMANDS = 540  # spread over all rounds
HANDLERS = """
    journal = os.open({journal!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def work(command):
        os.write(journal, f"begin {{command.command_id}}\\n".encode())
        time.sleep(command.arguments["seconds"])  # work, for a kill to hit
        os.write(journal, f"end {{command.command_id}}\\n".encode())

    agent.command("once")(work)
    agent.command("repeatable", idempotent=True)(work)
"""


def test_no_command_is_lost_or_run_twice_over_kills(tenant: Tenant, observer: Observer, tmp_path: Path):
    """Over 25 kills in 540 commands each ends in one true state, and only idempotent ones begin twice."""
    seed = random.randrange(2**32)  # noqa: S311 - moments, not secrets
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    device = tenant.device(tmp_path)
    journal = tmp_path / "journal"
    handlers = HANDLERS.format(journal=str(journal))
    messages = [
        new_command(
            device.thing,
            "repeatable" if number % 10 == 0 else "once",
            seconds=600,
            arguments={"seconds": chance.uniform(0, 0.02)},
        )
        for number in range(COMMANDS)
    ]
    pause = 0.7 * ROUNDS / COMMANDS
    all_sent = threading.Event()

    def send() -> None:
        for message in messages:
            tenant.send(message)
            time.sleep(chance.expovariate(1 / pause))  # random moments are what is tested
        all_sent.set()

    with device.run(handlers, name="first") as agent:  # nobody keeps commands for a device that never subscribed
        agent.await_event("mqtt.subscribed", seconds=60)
    sender = threading.Thread(target=send)
    sender.start()
    kills = 0
    while kills < ROUNDS or not all_sent.is_set():
        agent = device.run(handlers, name=f"run-{kills}")
        agent.await_event("mqtt.connected", seconds=60)
        time.sleep(chance.uniform(0, 0.4))  # a random moment
        os.kill(agent.pid, signal.SIGKILL)
        assert agent.stop() == -signal.SIGKILL
        kills += 1
    sender.join()
    with device.run(handlers, name="last") as agent:
        statuses = observer.await_all([each.command_id for each in messages], seconds=60)
        assert agent.stop() == 0

    lines = Counter(journal.read_text().splitlines())
    ends = Counter[CommandState]()
    for message in messages:
        key = message.command_id
        finals = {each.state for each in statuses[key] if each.state.is_final}
        assert len(finals) == 1, (key, finals)
        final = finals.pop()
        ends[final] += 1
        begun, ended = lines[f"begin {key}"], lines[f"end {key}"]
        if message.name == "repeatable":
            assert final is CommandState.SUCCEEDED
            assert ended >= 1
        else:
            assert begun <= 1, "run twice"
            assert final in (CommandState.SUCCEEDED, CommandState.INTERRUPTED)
            assert ended == 1 or final is CommandState.INTERRUPTED, "said to have succeeded, but did not"
        sequences = list(dict.fromkeys(each.sequence for each in statuses[key]))
        assert sequences == sorted(sequences), "states in order of their first arrival"
    print(f"{kills} kills, {COMMANDS} commands: {dict(ends)}")
    assert ends[CommandState.INTERRUPTED] >= 1, "the kills never hit a running command: the test proves too little"
