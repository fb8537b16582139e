"""A running agent whose state stands on a disk that fills up."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import fill, new_command, states

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.conftest import ObservedBroker

COMMANDS = 12
HANDLERS = """
    journal = os.open({journal!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @agent.command("work")
    def work(command):
        os.write(journal, f"{{command.command_id}}\\n".encode())

    @agent.command("wait")
    def wait(command):
        open({gate!r}).read()
        return {{"waited": True}}
"""


def test_a_full_disk_loses_no_command_and_no_state(
    observed: ObservedBroker, tmp_path: Path, tight_disk: Path
):
    """Full, the agent acknowledges nothing and keeps the outcome of what runs.

    With room, each ends once and truly.
    """
    journal, gate = tmp_path / "journal", tmp_path / "gate"
    os.mkfifo(gate)
    device = observed.broker.device(
        tmp_path / "device", settings={"state_dir": str(tight_disk / "state")}
    )
    with device.run(HANDLERS.format(journal=str(journal), gate=str(gate))) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        running = observed.broker.send(new_command(device.thing, "wait"))
        observed.observer.until(
            lambda: CommandState.RUNNING in states(observed.observer.statuses.get(running, [])),
            what=lambda: "running",
        )
        ballast = tight_disk / "somebody's log"
        (tight_disk / "state" / "reserve").unlink()  # somebody took that too
        fill(ballast)
        gate.write_text("go on")  # ends while nothing can be stored
        messages = [
            new_command(device.thing, "work", seconds=600, arguments={"much": "x" * 20_000})
            for _ in range(COMMANDS)
        ]
        ids = [observed.broker.send(message) for message in messages]
        failed = [agent.await_event("store.failed", seconds=30)["error"] for _ in range(3)]
        assert all("disk" in error for error in failed)
        # It has the broker send again what it could not store.
        agent.await_event("mqtt.connected", seconds=30)
        assert not any(
            state.is_final
            for each in [running, *ids]
            for state in states(observed.observer.statuses.get(each, []))
        )
        ballast.unlink()
        ended = observed.observer.await_all([running, *ids], seconds=60)
        assert agent.stop() == 0
    with closing(sqlite3.connect(tight_disk / "state" / "agent.db")) as database:
        kept = database.execute(
            "SELECT count(*) FROM outbox WHERE command_id = ?", (running,)
        ).fetchone()[0]
    assert kept == 0, (
        "what the cloud acknowledged while the disk was full is forgotten all the same"
    )
    assert ended[running][-1].detail == {"waited": True}
    assert {states(ended[each])[-1] for each in ids} == {CommandState.SUCCEEDED}
    assert Counter(journal.read_text().split()) == Counter(ids)


def test_a_device_that_starts_on_a_full_disk_can_be_helped(
    observed: ObservedBroker, tmp_path: Path, tight_disk: Path
):
    """The room that it kept for itself lets it start, say so and run what makes room."""
    ballast = tight_disk / "somebody's log"
    clean = f"""
    @agent.command("clean")
    def clean(command):
        os.unlink({str(ballast)!r})
"""
    device = observed.broker.device(
        tmp_path / "device", settings={"state_dir": str(tight_disk / "state")}
    )
    with device.run(clean) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        assert agent.stop() == 0
    fill(ballast)
    with device.run(clean) as agent:
        agent.await_event("disk.full", seconds=30)
        agent.await_event("mqtt.subscribed", seconds=30)
        cleaned = observed.broker.send(new_command(device.thing, "clean"))
        ended = observed.observer.await_all([cleaned], seconds=60)
        assert agent.stop() == 0
    assert states(ended[cleaned])[-1] is CommandState.SUCCEEDED
