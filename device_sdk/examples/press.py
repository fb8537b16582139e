"""A machine with moving parts: a stop overtakes, a long run can be stopped, a reboot comes last.

[commands] parallel = 2        # so that `stop` runs beside what it stops
cedarfleet-device run --config device.toml --handlers press.py
"""

from __future__ import annotations

import subprocess
import threading

from cedarfleet_device import Agent, Command, CommandFailedError, Result

STROKES = 100
_stop = threading.Event()


def register(agent: Agent) -> None:
    """The commands of the press; the tenant's file must list them."""

    # Not idempotent: a press that ran half a program must not run it again by itself.
    @agent.command("set-parameters", time_limit_seconds=60)
    def run_program(command: Command) -> dict[str, object]:
        strokes = command.arguments.get("strokes", STROKES)
        if not isinstance(strokes, int) or strokes < 1:
            raise CommandFailedError("`strokes` must be a whole number above 0", got=repr(strokes))
        _stop.clear()
        for done in range(strokes):
            # `stopped` is set when the limit has passed, or the agent ends.
            if command.stopped.is_set() or _stop.wait(0.01):
                raise CommandFailedError("stopped", strokes=done)
            command.progress(strokes=done)
        return {"strokes": strokes}

    @agent.command("stop", idempotent=True, time_limit_seconds=1)
    def stop(_: Command) -> dict[str, object]:
        _stop.set()
        return {"stopped": True}

    @agent.command("reboot")
    def reboot(_: Command) -> Result:
        # Called once SUCCEEDED has reached the cloud: a reboot is not repeated after it.
        return Result(
            detail={"rebooting": True},
            afterwards=lambda: subprocess.run(["systemctl", "reboot"], check=False),
        )
