"""A small sensor: measures on command, and takes a new interval by a command that may be repeated.

cedarfleet-device run --config device.toml --handlers sensor.py
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from cedarfleet_device import Agent, Command, CommandFailedError

INTERVAL = Path("interval")  # in the folder that the agent was started in
LEAST_SECONDS, MOST_SECONDS = 1, 3600


def register(agent: Agent) -> None:
    """The commands of the sensor; the tenant's file must list them."""

    @agent.command("run-diagnostics", idempotent=True, time_limit_seconds=10)
    def measure(command: Command) -> dict[str, object]:
        disk = shutil.disk_usage("/")
        return {
            "free_bytes": disk.free,
            "asked_ms_ago": int(time.time() * 1000) - command.issued_at,
        }

    @agent.command("set-parameters", idempotent=True)
    def set_interval(command: Command) -> dict[str, object]:
        seconds = command.arguments.get("interval_seconds")
        if not isinstance(seconds, int) or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise CommandFailedError(
                f"`interval_seconds` must be {LEAST_SECONDS} to {MOST_SECONDS}", got=repr(seconds)
            )
        INTERVAL.write_text(str(seconds), encoding="ascii")
        return {"interval_seconds": seconds}
