"""Deployments in processes that are stopped, killed or interrupted: what they did is known, and the next goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import Op, StackLockedError
from tests.infra.local.engine.folder_cloud import Box
from tests.infra.local.engine.programs import chain, many

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.local.engine.conftest import Workshop

_CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from infra.local.engine import Engine
    from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud
    from tests.infra.local.engine import programs

    root = Path(sys.argv[1])
    program = getattr(programs, sys.argv[2] if len(sys.argv) > 2 else "chain")
    print("starting", flush=True)
    Engine(root, root / "state", FolderCloud(root / "boxes"), HANDLERS, INVOKES, program=program).up("dev")
""")


def _stopped_in_a_create(root: Path) -> subprocess.Popen[str]:
    """Start `up` in a process, and return when its first box is written but not yet recorded."""
    pipe = root / "boxes" / "wait"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(root)], stdout=subprocess.PIPE, text=True
    )
    # Opens when the handler opens its end: the box exists, the handler has not returned.
    with pipe.open("w"):
        pipe.unlink()
        child.send_signal(signal.SIGSTOP)
        # Before, other threads of it may run on when the pipe ends.
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    return child


def _kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_a_create_that_kill_9_cut_short_is_reported_and_its_box_adopted(workshop: Workshop) -> None:
    """The next run says what was under way, finds the box, and makes only the others."""
    child = _stopped_in_a_create(workshop.root)
    _kill(child)
    assert list(workshop.cloud.boxes()) == ["first"]
    workshop.cloud.calls()
    result = workshop(chain).up("dev")
    assert any(
        "interrupted while creating" in warning and "::first" in warning
        for warning in result.warnings
    )
    assert any("adopted `first`" in warning for warning in result.warnings)
    assert workshop.cloud.calls() == ["read first", "create second", "create third"]
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]
    assert workshop(chain).up("dev").warnings == ()


def test_kills_at_random_moments_lose_and_double_nothing(workshop: Workshop) -> None:
    """After each of four kills the next run goes on: in the end each box exists once, and none beside them."""
    seed = random.randrange(1 << 32)  # noqa: S311 - moments of a test
    print(f"seed {seed}")
    moments = random.Random(seed)  # noqa: S311 - moments of a test
    (workshop.root / "boxes" / "slow").touch()
    for _ in range(4):
        command = [sys.executable, "-c", _CHILD, str(workshop.root), "many"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        recorded = moments.randint(1, 4)
        child.stdin.write("." * recorded)
        child.stdin.flush()
        # So many boxes are made: at least one of them is not recorded.
        child.stdout.read(recorded + 1)
        child.kill()
        child.communicate()
    (workshop.root / "boxes" / "slow").unlink()
    assert 8 <= len(workshop.cloud.boxes()) < 100
    result = workshop(many).up("dev")
    assert any("adopted" in warning for warning in result.warnings)
    assert sorted(name.rpartition("-")[0] for name in workshop.cloud.boxes()) == sorted(
        f"box-{number}" for number in range(100)
    )
    assert workshop(many).up("dev").changes == ()


def test_ctrl_c_lets_steps_under_way_end(workshop: Workshop) -> None:
    """An interrupted run begins no other step, records the one that was under way, and can be gone on with."""
    pipe = workshop.root / "boxes" / "wait"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(workshop.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pipe.open("w"):
        pipe.unlink()
        child.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.5)  # the step is still under way
    _, words = child.communicate()
    assert "KeyboardInterrupt" in words
    assert list(workshop.cloud.boxes()) == ["first"]
    workshop.cloud.calls()
    result = workshop(chain).up("dev")
    assert result.warnings == ()
    assert workshop.cloud.calls() == ["create second", "create third"]


def test_a_running_deployment_keeps_others_out(workshop: Workshop) -> None:
    """A second run of the stack is refused and names the process; another stack is free; its death frees the lock."""
    child = _stopped_in_a_create(workshop.root)
    try:
        with pytest.raises(
            StackLockedError, match=f"stack `dev` is being changed by process {child.pid}"
        ):
            workshop(chain).up("dev")
        workshop(lambda: Box("box")).up("other")
    finally:
        _kill(child)
    assert workshop(chain).up("dev").count(Op.CREATE) == 2
