"""The machine of these tests: a real systemd comes up in it, and nothing of it is left."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.device_sdk.systemd.machine import Machine, lay_out, missing

PROJECT = Path(__file__).parents[3]
SWITCH_ON = """
import sys
from pathlib import Path
from tests.device_sdk.systemd.machine import Machine
with Machine(Path(sys.argv[1])) as machine:
    print(machine.pid, machine.holder_pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The file system of a bare machine."""
    (tmp_path / "try").mkdir()
    if (reason := missing(tmp_path / "try")) is not None:
        pytest.skip(reason)
    root = tmp_path / "root"
    lay_out(root)
    return root


def mounts_seen(root: Path) -> list[str]:
    """Mounts of host and machine; those of other tests, in their folders, come and go."""
    others = root.parents[2]  # of this process's tests, as of all that run beside it
    seen = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [Path(line.split()[4]) for line in seen]
    return [
        line
        for line, place in zip(seen, places, strict=True)
        if place.is_relative_to(root) or not place.is_relative_to(others)
    ]


def test_a_machine_leaves_nothing_behind(root: Path):
    """Its processes, mounts and control groups go with it; the host's mounts stay."""
    mounts = mounts_seen(root)
    with Machine(root) as machine:
        assert machine.run("cat", "/proc/1/comm") == "systemd\n"
        assert machine.run("systemctl", "is-system-running") == "running\n"
        traces = Traces(root, machine.pid)
        assert traces.processes()
        assert traces.groups()
    assert (traces.processes(), traces.groups()) == ([], [])
    assert mounts_seen(root) == mounts


def test_a_machine_ends_with_a_test_that_is_killed(root: Path):
    """After `kill -9` of the process that switched it on, nothing is left either."""
    command = [sys.executable, "-c", SWITCH_ON, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    ) as test:
        assert test.stdout is not None
        pid, holder = map(int, test.stdout.readline().split())
        traces = Traces(root, pid)
        assert traces.groups()
        with os.fdopen(os.pidfd_open(holder)) as keeping:
            test.kill()
            assert select.select([keeping], [], [], 30)[0], "the holder of the machine lives on"
    assert (traces.processes(), traces.groups()) == ([], [])


class Traces:
    """Where a running machine shows on the host.

    Its mounts live as long as a process in its mount namespace.
    """

    def __init__(self, root: Path, pid: int) -> None:
        self._look = root.with_name("look")
        self._look.mkdir()
        self._namespace = (Path("/proc") / str(pid) / "ns/mnt").readlink()
        # 0::/.../cedarfleet-test-x/init.scope.
        line = (Path("/proc") / str(pid) / "cgroup").read_text().splitlines()[-1]
        self._group = Path(line).parent.name

    def processes(self) -> list[str]:
        """Those that see its mounts."""
        found: list[str] = []
        for each in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                found += [each.name] if (each / "ns/mnt").readlink() == self._namespace else []
        return found

    def groups(self) -> list[str]:
        """Its control groups."""
        private = ["unshare", "--mount", "--propagation", "private", "sh", "-euc"]
        seen = 'mount -t cgroup2 look "$1"; find "$1" -type d -path "*/$2*"'
        command = [*private, seen, "sh", str(self._look), self._group]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
