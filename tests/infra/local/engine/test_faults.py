"""Failures half way, kill -9, two runs at once: what is done is known, and the next run goes on from there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pulumi
import pytest

from infra.local.engine import DeploymentFailedError, Op, ProgramError, StackLockedError, StateError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.local.engine.conftest import Workshop


def chain() -> None:
    """Three boxes, each with the address of the one before."""
    first = Box("first", name="first", size=1)
    second = Box("second", name="second", of=first.arn)
    third = Box("third", name="third", of=second.arn)
    pulumi.export("arn", third.arn)


def test_after_a_failure_only_the_rest_is_made(workshop: Workshop) -> None:
    """A create that is refused fails the run by name; the next run makes just what is missing."""
    refusal = workshop.root / "boxes" / "refuse-second"
    refusal.touch()
    with pytest.raises(DeploymentFailedError, match=r"creating urn:.*::second: PermissionError: not allowed") as raised:
        workshop(chain).up("dev")
    assert [failure.operation for failure in raised.value.failures] == ["creating"]
    assert [change.urn.split("::")[-1] for change in raised.value.result.changes] == ["store-dev", "first"]
    assert list(workshop.cloud.boxes()) == ["first"]
    workshop.cloud.calls()
    refusal.unlink()
    result = workshop(chain).up("dev")
    assert workshop.cloud.calls() == ["create second", "create third"]
    assert result.same == 2
    assert result.outputs == {"arn": "arn:box:third"}
    assert result.warnings == ()


def test_a_program_that_fails_deletes_nothing(workshop: Workshop) -> None:
    """An exception in the program, or in an apply, ends the run with its words; what exists stays."""
    workshop(chain).up("dev")

    def broken() -> None:
        Box("first", name="first", size=1)
        raise ValueError("no such tenant")

    def broken_later() -> None:
        Box("first", name="first", size=1).arn.apply(lambda arn: {}[arn])

    for program, words in ((broken, "ValueError: no such tenant"), (broken_later, "KeyError")):
        with pytest.raises(ProgramError, match=words):
            workshop(program).up("dev")
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]
    assert workshop(chain).up("dev").changes == ()


def test_a_type_without_handler_is_refused_before_anything_is_made(workshop: Workshop) -> None:
    """Every unknown type is named, and no handler is called."""

    def program() -> None:
        Box("box")
        Box("crate", kind="Crate")
        Box("barrel", kind="Barrel")

    with pytest.raises(ProgramError, match=r"no handler .* box:index:Barrel .*::barrel\); box:index:Crate"):
        workshop(program).up("dev")
    assert workshop.cloud.calls() == []
    assert workshop.cloud.boxes() == {}


def test_a_type_that_only_the_real_run_asks_for_is_refused_there(workshop: Workshop) -> None:
    """A resource declared inside an apply is not seen by the preview; without handler it ends the run, made or not."""
    program = lambda: Box("box", name="box").arn.apply(lambda arn: Box("crate", kind="Crate", of=arn).arn)  # noqa: E731
    with pytest.raises(ProgramError, match="no handler in infra/local/handlers for box:index:Crate"):
        workshop(program).up("dev")
    assert list(workshop.cloud.boxes()) == ["box"]


def test_one_urn_belongs_to_one_resource(workshop: Workshop) -> None:
    """Two resources of one type and name are refused before anything is made."""
    with pytest.raises(ProgramError, match=r"Duplicate resource URN .*::box"):
        workshop(lambda: [Box("box") for _ in range(2)]).up("dev")
    assert workshop.cloud.boxes() == {}


_CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from infra.local.engine import Engine
    from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud
    from tests.infra.local.engine import test_faults

    root = Path(sys.argv[1])
    program = getattr(test_faults, sys.argv[2] if len(sys.argv) > 2 else "chain")
    print("starting", flush=True)
    Engine(root, root / "state", FolderCloud(root / "boxes"), HANDLERS, INVOKES, program=program).up("dev")
""")


def _stopped_in_a_create(root: Path) -> subprocess.Popen[str]:
    """Start `up` in a process, and return when its first box is written but not yet recorded."""
    pipe = root / "boxes" / "wait"
    os.mkfifo(pipe)
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(root)], stdout=subprocess.PIPE, text=True)
    with pipe.open("w"):  # opens when the handler opens its end: the box exists, the handler has not returned
        pipe.unlink()
        child.send_signal(signal.SIGSTOP)
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
    assert any("interrupted while creating" in warning and "::first" in warning for warning in result.warnings)
    assert any("adopted `first`" in warning for warning in result.warnings)
    assert workshop.cloud.calls() == ["read first", "create second", "create third"]
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]
    assert workshop(chain).up("dev").warnings == ()


def many() -> None:
    """A hundred boxes with drawn names."""
    for number in range(100):
        Box(f"box-{number}", size=number)


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
        child.stdout.read(recorded + 1)  # so many boxes are made: at least one of them is not recorded
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
        [sys.executable, "-c", _CHILD, str(workshop.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
        with pytest.raises(StackLockedError, match=f"stack `dev` is being changed by process {child.pid}"):
            workshop(chain).up("dev")
        workshop(lambda: Box("box")).up("other")
    finally:
        _kill(child)
    assert workshop(chain).up("dev").count(Op.CREATE) == 2


def test_a_torn_journal_line_is_what_was_being_written(workshop: Workshop) -> None:
    """Whole lines of a journal count, its torn end does not; a journal of an older file does not count at all."""
    workshop(chain).up("dev")
    file = workshop.root / "state" / "stacks" / "store" / "dev.json"
    deployment = json.loads(file.read_text())["deployment"]
    last = deployment["resources"][-1]["urn"]
    drop = json.dumps({"drop": last})
    file.with_suffix(".journal").write_text(f'{{"extends": "2026-01-01T00:00:00+00:00"}}\n{drop}\n')
    assert workshop(chain).preview("dev").changes == ()
    extends = json.dumps({"extends": deployment["manifest"]["time"]})
    file.with_suffix(".journal").write_text(f'{extends}\n{drop}\n{{"drop": "urn:pul')
    workshop.cloud.calls()
    (workshop.root / "boxes" / "third.json").unlink()
    assert [change.urn for change in workshop(chain).up("dev").changes] == [last]


def test_a_damaged_state_file_is_refused(workshop: Workshop) -> None:
    """Neither a torn file nor one of another format is taken for an empty stack."""
    workshop(chain).up("dev")
    file = workshop.root / "state" / "stacks" / "store" / "dev.json"
    whole = file.read_text()
    for damaged, words in (
        (whole[: len(whole) // 2], "is no Pulumi deployment"),
        (whole.replace('"version": 3', '"version": 4'), "version 4"),
    ):
        file.write_text(damaged)
        with pytest.raises(StateError, match=words):
            workshop(chain).up("dev")
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]


def test_a_failed_delete_is_tried_again(workshop: Workshop) -> None:
    """What could not be deleted stays in the state; destroy goes on from there."""
    workshop(chain).up("dev")
    second = workshop.root / "boxes" / "second.json"
    second.unlink()
    second.mkdir()  # unlinking a folder fails
    with pytest.raises(DeploymentFailedError, match=r"deleting .*::second"):
        workshop(chain).destroy("dev")
    assert list(workshop.cloud.calls())[-2:] == ["delete third", "delete second"]
    second.rmdir()
    workshop(chain).destroy("dev")
    assert workshop.cloud.calls() == ["delete second", "delete first"]
