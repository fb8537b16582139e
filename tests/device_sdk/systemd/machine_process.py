"""Holds one machine, its namespaces and its control group, until standard input ends.

Then nothing of it is left.

A program, run in a mount namespace of its own:
``unshare --mount python machine_process.py ROOT CONSOLE``. Input ends when the test says so and
also when the test is killed. It prints the process id of the machine's systemd.
"""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import sys
from pathlib import Path

BOOT = Path(__file__).with_name("boot.sh")
# In its group first, since a control group namespace begins where its maker is; /proc is still the
# host's here.
ENTER = (
    'echo 0 >"$1/cgroup.procs"; read -r pid _ </proc/self/stat; echo "$pid"; shift;'
    ' exec unshare --cgroup sh "$@"'
)


def main(root: str, console: str) -> None:
    """Start the machine, wait for the end of input, end everything in it."""
    group = own_group(Path(root).with_name("cgroup")) / f"cedarfleet-test-{secrets.token_hex(6)}"
    group.mkdir()
    try:
        namespaces = ["--fork", "--pid", "--mount", "--uts", "--ipc", "--kill-child"]
        machine = subprocess.Popen(
            [
                "unshare",
                *namespaces,
                "sh",
                "-euc",
                ENTER,
                "sh",
                str(group),
                str(BOOT),
                root,
                console,
            ],
            stdin=subprocess.DEVNULL,
        )
        sys.stdin.read()
        (group / "cgroup.kill").write_text("1")  # Linux 5.14
        machine.wait()
    finally:
        remove(group)


def own_group(point: Path) -> Path:
    """The control group of this process, seen through a mount that only this process sees."""
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(point)], check=True)
    (line,) = [
        each
        for each in Path("/proc/self/cgroup").read_text().splitlines()
        if each.startswith("0::")
    ]
    return point / line.removeprefix("0::/")


def remove(group: Path) -> None:
    """Once its last process has gone."""
    with (group / "cgroup.events").open() as events:
        poller = select.poll()
        poller.register(events, select.POLLPRI)
        while "populated 1" in events.read():
            poller.poll(1000)
            events.seek(0)
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)  # noqa: PTH106 - os.walk gives strings


if __name__ == "__main__":
    main(*sys.argv[1:])
