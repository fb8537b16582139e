"""Children log events that can be awaited, and do not outlive their parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.local import processes
from infra.local.processes import Child, ChildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def child(tmp_path: Path, program: str, *, environment: dict[str, str] | None = None) -> Child:
    """A child that runs this Python program."""
    command: Sequence[str] = [sys.executable, "-u", "-c", program]
    return Child(
        name="child",
        command=command,
        environment=environment or {},
        log_file=tmp_path / "child.log",
    )


def test_an_event_is_awaited_among_other_lines(tmp_path: Path) -> None:
    """Lines that are not JSON are kept in the log and otherwise passed over."""
    program = 'print(\'hello\'); print(\'{"event": "ready", "port": 7}\'); input()'
    with child(tmp_path, program.replace("input()", "import time; time.sleep(60)")) as running:
        assert running.await_event("ready", seconds=20)["port"] == 7
    assert (tmp_path / "child.log").read_text().startswith("hello\n")


def test_a_child_that_ends_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    """Whoever awaits an event learns the exit code and what the child wrote."""
    with child(tmp_path, "print('no such table'); raise SystemExit(3)") as running:
        with pytest.raises(
            ChildError, match=r"(?s)ended with code 3 before `ready`.*no such table"
        ):
            running.await_event("ready", seconds=20)
        with pytest.raises(ChildError, match="ended with code 3"):
            running.await_event("ready", seconds=20)


def test_a_child_does_not_inherit_credentials(tmp_path: Path) -> None:
    """AWS and Cedarfleet variables of this process do not reach it; those given to it do."""
    os.environ["AWS_SECRET_ACCESS_KEY"] = "of-the-person"
    try:
        program = (
            "import json, os;"
            "given = [k for k in os.environ if k.startswith(('AWS_', 'CEDARFLEET_'))];"
            "print(json.dumps({'event': 'env', 'given': given}))"
        )
        with child(tmp_path, program, environment={"AWS_REGION": "eu-central-1"}) as running:
            assert running.await_event("env", seconds=20)["given"] == ["AWS_REGION"]
    finally:
        del os.environ["AWS_SECRET_ACCESS_KEY"]


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends a child with its parent (prctl)"
)
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    """After kill -9 of the parent the child is ended; here it holds a pipe open until then."""
    read, write = os.pipe()
    grandchild = "import time; print('up', flush=True); time.sleep(60)"
    program = (
        "import os, subprocess, sys;"
        "p = subprocess.Popen("
        f"[sys.executable, '-I', {processes.__file__!r}, str(os.getpid()), sys.executable, '-c',"
        f" {grandchild!r}], pass_fds=[{write}]); p.wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], pass_fds=[write], stdout=subprocess.PIPE, text=True
    )
    os.close(write)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        ended, _, _ = select.select([read], [], [], 20)
        assert ended == [read], "the child still holds the pipe"
        assert os.read(read, 1) == b""
    finally:
        parent.kill()
        parent.communicate()
        os.close(read)
