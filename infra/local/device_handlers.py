"""What the demo's devices can do: a maker's file for `cedarfleet-device run --handlers`."""

from __future__ import annotations

import os
import platform
import shutil
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cedarfleet_device import Agent, Command

_STARTED = time.monotonic()


def register(agent: Agent) -> None:
    """Register the commands that the tenants of the demo declare."""

    @agent.command("run-diagnostics", idempotent=True)
    @agent.command("self-test", idempotent=True)
    def measure(command: Command) -> dict[str, Any]:
        """Measure this machine."""
        return {
            "process": os.getpid(),
            "system": platform.system(),
            "disk_free_bytes": shutil.disk_usage(".").free,
            "uptime_seconds": round(time.monotonic() - _STARTED, 3),
            "asked_at": command.issued_at,
        }

    @agent.command("set-parameters")
    @agent.command("set-rate")
    def set_parameters(command: Command) -> dict[str, Any]:
        """Take over the parameters; a real press would check them against its own limits."""
        if not command.arguments:
            raise ValueError("no parameter was given")
        return {"applied": sorted(command.arguments)}

    @agent.command("reboot")
    def reboot(command: Command) -> dict[str, Any]:
        """Stand in for a restart: this device has nothing to restart, and says so."""
        del command
        return {
            "restarted": False,
            "note": "simulated: the demo's device is a process of this machine",
        }

    @agent.command("stop")
    @agent.command("pause-infusion")
    def stop(command: Command) -> dict[str, Any]:
        """Stand in for an emergency stop, and say so."""
        del command
        return {"stopped": True, "note": "simulated: nothing moves here"}
