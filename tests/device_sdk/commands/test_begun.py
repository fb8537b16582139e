"""Which commands had begun when the process ended: told truly, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.commands.begun import BegunMarks, boot_id
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import StatusMessage

from tests.device_sdk.devices import fill, new_command
from tests.device_sdk.open_files import open_below
from tests.device_sdk.store.store_doubles import RUN, StoredCommands

if TYPE_CHECKING:
    from pathlib import Path


def next_process(file: Path, *, boot: str = "b") -> BegunMarks:
    """The marks as a process finds them."""
    return BegunMarks(file, boot=boot)


def test_only_a_command_without_a_mark_never_began(tmp_path: Path):
    """Of the process before; its own marks, and a machine that started anew, say nothing."""
    file = tmp_path / "begun"
    first = next_process(file)
    assert not first.never_began("A"), "there was no process before"
    first.start()
    first.mark("A")
    second = next_process(file)
    assert not second.never_began("A")
    assert second.never_began("B")
    assert not next_process(file, boot="c").never_began("B"), "power may have taken its mark"
    assert not next_process(file, boot="").never_began("B"), "this machine tells no boots"
    second.start()
    assert next_process(file).never_began("A"), "it was dealt with before the second started"
    for each in (first, second):
        each.close()


def test_the_file_stays_small_and_keeps_what_has_not_ended(tmp_path: Path):
    """After thousands of commands only the ones that still run are there."""
    marks = next_process(tmp_path / "begun")
    marks.start()
    marks.mark("long")
    for number in range(2_500):
        marks.mark(f"{number}")
        marks.ended(f"{number}")
    found = next_process(tmp_path / "begun")
    assert not found.never_began("long")
    assert not found.never_began("2499")
    assert found.never_began("0"), "ended long ago: no start asks for it"
    assert (tmp_path / "begun").stat().st_size < 20_000
    marks.close()


def test_a_mark_that_cannot_be_written_unsays_all(tight_disk: Path):
    """On a full disk nothing is claimed of any command."""
    marks = next_process(tight_disk / "begun")
    marks.start()
    fill(tight_disk / "log")
    for number in range(5_000):  # what is left of the file's block
        marks.mark(f"{number:026}")
    assert not next_process(tight_disk / "begun").never_began("B")
    marks.close()


@pytest.mark.parametrize("starts", [1, 2])
def test_a_file_that_cannot_be_made_anew_unsays_all(tmp_path: Path, starts: int):
    """What the process before left says nothing of this one's commands; no descriptor stays."""
    before = next_process(tmp_path / "begun")
    before.start()
    before.close()
    marks = next_process(tmp_path / "begun")
    for _ in range(starts - 1):
        marks.start()
    (tmp_path / "begun.new" / "in the way").mkdir(parents=True)
    marks.start()
    marks.mark("A")
    assert open_below(tmp_path) == []
    assert not next_process(tmp_path / "begun").never_began("B")
    marks.close()


def test_marks_hold_one_file_open(tmp_path: Path):
    """However often it is made anew."""
    marks = next_process(tmp_path / "begun")
    for _ in range(5):
        marks.start()
        assert open_below(tmp_path) == [tmp_path / "begun"]
    marks.close()
    assert open_below(tmp_path) == []


@pytest.mark.parametrize("begun", [True, False])
def test_an_interruption_says_whether_it_had_begun(tmp_path: Path, begun: bool):
    """A command whose handler never began says `begun: false`: it may be sent again at once."""
    store = Store(tmp_path / "agent.db")
    commands, message = StoredCommands(store), new_command("acme--a", "x")
    commands.admission.receive(message).result()
    commands.inbox.take(RUN)
    marks = BegunMarks(tmp_path / "begun", boot=boot_id() or "b")
    marks.start()
    if begun:
        marks.mark(message.command_id)
    after = BegunMarks(tmp_path / "begun", boot=boot_id() or "b")
    commands.inbox.recover(again=lambda _: False, never_began=after.never_began)
    told = [
        StatusMessage.decode(each.message) for each in commands.outbox.outgoing(after=0, limit=9)
    ]
    assert told[-1].state == "interrupted"
    assert told[-1].detail.get("begun", True) is begun
    marks.close()
    store.close()
