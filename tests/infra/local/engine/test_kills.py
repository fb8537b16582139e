"""Deployments that are stopped, killed or interrupted: the next one knows and goes on."""

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
from tests.infra.local.engine.folder_cloud import Box, chain, many
from tests.seed import new_seed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.local.engine.conftest import StoreProject

_CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from infra.local.engine import Engine
    from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud
    from tests.infra.local.engine import folder_cloud

    root = Path(sys.argv[1])
    program = getattr(folder_cloud, sys.argv[2] if len(sys.argv) > 2 else "chain")
    print("starting", flush=True)
    cloud = FolderCloud(root / "boxes")
    Engine(root, root / "state", cloud, HANDLERS, INVOKES, program=program).up("dev")
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


def test_create_cut_short_by_kill_9_is_reported_and_adopted(
    store: StoreProject,
) -> None:
    """The next run says what was under way, finds the box, and makes only the others."""
    child = _stopped_in_a_create(store.root)
    _kill(child)
    assert list(store.cloud.boxes()) == ["first"]
    store.cloud.calls()
    result = store(chain).up("dev")
    assert any(
        "interrupted while creating" in warning and "::first" in warning
        for warning in result.warnings
    )
    assert any("adopted `first`" in warning for warning in result.warnings)
    assert store.cloud.calls() == ["read first", "create second", "create third"]
    assert list(store.cloud.boxes()) == ["first", "second", "third"]
    assert store(chain).up("dev").warnings == ()


def test_kills_at_random_moments_lose_and_double_nothing(store: StoreProject) -> None:
    """After each of four kills the next run goes on: in the end each box exists once."""
    moments = random.Random(new_seed())  # noqa: S311 - moments of a test
    (store.root / "boxes" / "slow").touch()
    for _ in range(4):
        command = [sys.executable, "-c", _CHILD, str(store.root), "many"]
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
    (store.root / "boxes" / "slow").unlink()
    assert 8 <= len(store.cloud.boxes()) < 100
    result = store(many).up("dev")
    assert any("adopted" in warning for warning in result.warnings)
    assert sorted(name.rpartition("-")[0] for name in store.cloud.boxes()) == sorted(
        f"box-{number}" for number in range(100)
    )
    assert store(many).up("dev").changes == ()


def test_ctrl_c_lets_steps_under_way_end(store: StoreProject) -> None:
    """An interrupted run begins no other step, records the one under way; the next goes on."""
    pipe = store.root / "boxes" / "wait"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(store.root)],
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
    assert list(store.cloud.boxes()) == ["first"]
    store.cloud.calls()
    result = store(chain).up("dev")
    assert result.warnings == ()
    assert store.cloud.calls() == ["create second", "create third"]


def test_a_running_deployment_keeps_others_out(store: StoreProject) -> None:
    """A second run of the stack is refused and names the process; another stack is free."""
    child = _stopped_in_a_create(store.root)
    try:
        with pytest.raises(
            StackLockedError, match=f"stack `dev` is being changed by process {child.pid}"
        ):
            store(chain).up("dev")
        store(lambda: Box("box")).up("other")
    finally:
        _kill(child)
    assert store(chain).up("dev").count(Op.CREATE) == 2
