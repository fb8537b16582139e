"""What a device's agent costs the board that it runs on while nothing is asked of it.

Targets are what an independent review measured of a former state (2026-11-26), and a tenth more:
0.01 s of processor time a minute, 35 MB in memory, 0.3 s to import. That its files take no more
than 16 MB and a tenth is a test (``tests/device_sdk/test_distribution.py``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from infra.local.cloud import EmbeddedCloud
from tests.benchmarks.rows import Missing, Row
from tests.device_sdk.devices import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

_REST_SECONDS = 10  # after the subscription, until what a start brings along is over
_WATCHED_SECONDS = 60
_CPU_SECONDS = 0.011
_MEGABYTES = 38.5
_IMPORT_SECONDS = 0.33


def rows(rounds: int) -> Iterator[Row | Missing]:
    """Memory and processor time once, however many rounds are wanted; the import each time."""
    yield from _idle()
    yield _import(rounds)


def _idle() -> Iterator[Row]:
    """An agent as it is shipped, connected and subscribed, jobs and all, of which nobody asks."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedCloud(Path(folder) / "cloud") as cloud:
        shipped = {
            "connection.reconnect_min_seconds": 1,
            "connection.reconnect_max_seconds": 120,
            "connection.limit_rate": True,
        }
        device = Tenant(cloud).device(Path(folder) / "device", settings=shipped)
        with device.run() as agent:
            agent.await_event("mqtt.subscribed", seconds=60)
            time.sleep(_REST_SECONDS)
            before = _cpu_seconds(agent.pid)
            time.sleep(_WATCHED_SECONDS)  # what is measured is this time
            used = _cpu_seconds(agent.pid) - before
            resident, threads = _status(agent.pid, "VmRSS") / 1024, _status(agent.pid, "Threads")
    yield Row(
        name=f"processor time of an idle agent in {_WATCHED_SECONDS} s",
        ours=used,
        unit="s",
        target=f"<= {_CPU_SECONDS} s",
        met=used <= _CPU_SECONDS,
        rounds=1,
    )
    yield Row(
        name="memory of an idle agent",
        ours=resident,
        unit="MB",
        target=f"<= {_MEGABYTES} MB",
        met=resident <= _MEGABYTES,
        rounds=1,
        note=f"resident; {threads} threads",
    )


def _import(rounds: int) -> Row:
    """Of a process with compiled files and nothing else to do; what else runs does not count."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    program = (
        "from cedarfleet_device import Agent; import resource as r;"
        " used = r.getrusage(r.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
    )
    seconds: list[float] = []
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            env=environment,
            capture_output=True,
            text=True,
        )
        seconds.append(float(done.stdout))
    found = median(seconds[1:])  # the first may compile
    return Row(
        name="processor time of Python and `from cedarfleet_device import Agent`",
        ours=found,
        unit="s",
        target=f"<= {_IMPORT_SECONDS} s",
        met=found <= _IMPORT_SECONDS,
        rounds=rounds,
        note=f"worst {max(seconds[1:]):.2f} s",
    )


def _cpu_seconds(pid: int) -> float:
    """Of all its threads (source: Linux, Documentation/scheduler/sched-stats.rst, first number)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"this kernel does not tell a process's `{name}`")
