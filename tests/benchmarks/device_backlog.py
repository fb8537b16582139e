"""Memory and speed of a device's agent that finds thousands of queued commands."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.rows import Missing, Row
from tests.device_sdk.devices import Observer, new_command
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator

BACKLOG = 10_000
SMALL_BACKLOG = 1_000
ECHO = "\n    agent.command('echo')(lambda command: command.arguments)\n"


def rows(_rounds: int) -> Iterator[Row | Missing]:
    """The one figure; it is measured once, however many rounds are wanted."""
    if PROGRAM is None:
        yield Missing(name="memory for queued commands", why="apt-get install mosquitto")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        tls = broker.tls("observer")
        observer = stack.enter_context(Observer(host=broker.host, port=broker.port, tls=tls))
        yield _backlog(broker, observer, folder)


def _backlog(broker: Mosquitto, observer: Observer, folder: Path) -> Row:
    """Peak memory of an agent with a backlog at the broker, beside a tenth of it."""
    peaks: list[float] = []
    seconds = 0.0
    for count in (SMALL_BACKLOG, BACKLOG):
        device = broker.device(folder / f"backlog-{count}")
        with device.run(ECHO) as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
        ids = broker.send_all(
            [new_command(device.thing, "echo", seconds=3600) for _ in range(count)]
        )
        began = time.monotonic()
        with device.run(ECHO) as agent:
            observer.await_all(ids, seconds=600)
            seconds = time.monotonic() - began
            peaks.append(_peak_megabytes(agent.pid))
        for command_id in ids:
            del observer.statuses[command_id]
    growth = peaks[1] - peaks[0]
    return Row(
        name=f"memory for {BACKLOG} queued commands beyond that for {SMALL_BACKLOG}",
        ours=growth,
        unit="MB",
        target="<= 10 MB",
        met=growth <= 10,
        rounds=1,
        note=f"peak RSS {peaks[0]:.0f} and {peaks[1]:.0f} MB;"
        f" drained at {BACKLOG / seconds:.0f} commands/s",
    )


def _peak_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not tell a process's peak memory")
