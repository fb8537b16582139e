"""An install ends confirmed, or with the former version, over reboots and power cuts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.installs.record import InstallFiles, InstallRecord, InstallState
from cedarfleet_device.wire import Manifest

from tests.device_sdk.installs.press_machine import NEW, Machine, Press

if TYPE_CHECKING:
    from cedarfleet_device.installs.steps import Update


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A press that runs 1.0.0."""
    return Machine(folder=tmp_path)


def test_a_version_that_works_after_its_reboot_stays(machine: Machine):
    """Downloaded, installed, rebooted, confirmed: each is told, and both versions are named."""
    machine.until_reboot()
    outcome = machine.finish()
    assert outcome.status == "SUCCEEDED"
    assert outcome.detail == {
        "state": "confirmed",
        "package": "firmware",
        "version": "2.0.0",
        "former": "1.0.0",
    }
    assert machine.states == ["installing", "rebooting", "confirming"]
    assert machine.press.committed == "2.0.0"
    assert InstallFiles(machine.folder).packages() == {"firmware": "2.0.0"}
    assert machine.fetched == 1, "after the reboot nobody needs the file"
    process = machine.process()
    process.ended("job")
    assert InstallFiles(machine.folder).read() is None
    assert process.report() == {"packages": {"firmware": "2.0.0"}, "install": {}}
    again = process.carry_out(
        "another job",
        NEW,
        fetch=lambda: Path("never"),
        tell=machine.told.append,
        cancelled=lambda: False,
    )
    assert again is not None
    assert again.status == "SUCCEEDED", "it is installed already"


@pytest.mark.parametrize("cause", ["unhealthy", "offline", "commit fails"])
def test_a_version_that_is_not_confirmed_gives_way(machine: Machine, cause: str):
    """In its time it did not say that it works: the former one runs again, and the job tells."""
    machine.until_reboot()
    if cause == "unhealthy":
        machine.press.healthy = False
    elif cause == "offline":
        machine.online = False
    else:
        machine.press.fails["commit"] = OSError("no such slot")
    machine.until_reboot()
    outcome = machine.finish()
    assert outcome.status == "FAILED"
    assert outcome.detail["state"] == "rolled_back"
    words = {
        "unhealthy": "not confirmed within 0.2 s: it does not say that it works",
        "offline": "not confirmed within 0.2 s: the cloud was not reached",
        "commit fails": "`commit` failed: OSError: no such slot",
    }
    assert outcome.detail["reason"] == words[cause]
    assert (machine.press.runs, machine.press.committed) == ("1.0.0", "1.0.0")


def test_no_cloud_is_needed_to_give_a_version_up(machine: Machine):
    """After the reboot the agent confirms, or goes back, before any job is told again."""
    machine.until_reboot()
    machine.online = False
    machine.until_reboot(lambda process: process.settle())
    assert machine.press.runs == "1.0.0"
    assert machine.finish().status == "FAILED"


def test_a_boot_loader_that_went_back_is_believed(machine: Machine):
    """Where the former version runs after the reboot, the new one did not start."""
    machine.until_reboot()
    machine.press.runs = "1.0.0"
    outcome = machine.finish()
    assert outcome.status == "FAILED"
    assert outcome.detail["reason"] == "after the reboot 1.0.0 runs: the new version did not start"
    assert machine.press.steps == ["install", "reboot"]


@pytest.mark.parametrize("raised", [RuntimeError("flash"), SystemExit(3), MemoryError("flash")])
def test_an_install_that_fails_leaves_the_former(machine: Machine, raised: BaseException):
    """Whatever a step raises is the job's reason, and the way back is asked for."""
    machine.press.fails["install"] = raised
    outcome = machine.finish()
    assert outcome.status == "FAILED"
    assert outcome.detail["reason"] == f"`install` failed: {type(raised).__name__}: {raised}"
    assert machine.press.steps == ["install", "roll_back"]
    assert machine.press.runs == "1.0.0"


def test_a_way_back_that_fails_is_told_too(machine: Machine):
    """Both reasons reach the person who must go there."""
    machine.press.fails = {"install": OSError("full"), "roll_back": OSError("worn out")}
    reason = machine.finish().detail["reason"]
    assert "OSError: full" in reason
    assert "going back failed too: `roll_back` failed: OSError: worn out" in reason


class HangingPress(Press):
    """One whose install returns when the test lets it."""

    def install(self, update: Update) -> bool:
        """Wait."""
        del update
        return self.rebooted.wait(60)


def test_a_step_that_hangs_holds_nothing_up(machine: Machine):
    """After its limit the install has failed; no other is begun until the step has returned."""
    machine.limits, machine.press = {"limit_seconds": 0.1}, HangingPress()
    reason = machine.finish().detail["reason"]
    machine.press.rebooted.set()
    assert "`install` did not end within its limit of 0.1 s" in reason
    assert "an earlier step has not ended" in reason, "nor could it go back"


def left_by_a_power_cut(machine: Machine, *, tries: int) -> None:
    """The device's files, as the power went while it was installing."""
    record = InstallRecord.fresh(
        "job", NEW, former="1.0.0", file=machine.folder / "press.img", boot="boot 0"
    )
    installing = record.now(InstallState.INSTALLING, boot="boot 0")
    InstallFiles(machine.folder).write(replace(installing, tries=tries))


def test_an_install_that_was_cut_off_begins_again(machine: Machine):
    """The same step is done once more, with the file, and the install comes to its end."""
    left_by_a_power_cut(machine, tries=1)
    machine.until_reboot()
    assert machine.finish().status == "SUCCEEDED"
    assert machine.fetched == 1


def test_an_install_that_ends_the_machine_ends(machine: Machine):
    """Cut off again and again, it is given up after its tries, with the former version."""
    left_by_a_power_cut(machine, tries=3)
    assert machine.finish().detail["reason"] == "it was cut off 3 times"
    assert machine.press.steps == ["roll_back"]


def test_a_version_that_ends_the_agent_is_given_up(machine: Machine):
    """Each start counts: what never lives long enough to be confirmed does not stay."""
    machine.until_reboot()
    files = InstallFiles(machine.folder)
    machine.press.healthy, machine.limits = False, {"confirm_seconds": 60}
    for _ in range(3):
        process = machine.process()
        running = threading.Thread(target=machine.ask, args=(process,), daemon=True)
        before = machine.press.steps.count("works")
        running.start()
        while machine.press.steps.count("works") == before:
            running.join(0.01)
        process.stop()
        running.join(20)
        record = files.read()
        assert record is not None
        assert record.state is InstallState.CONFIRMING
    machine.until_reboot()
    assert machine.finish().detail["reason"] == "it started 3 times and was not confirmed"
    assert machine.press.runs == "1.0.0"


def test_what_a_device_says_against_it_is_waited_for(machine: Machine):
    """Its reason is told; once its time is over, the install has failed and nothing was done."""
    machine.press.busy = ["pressing"] * 5
    machine.limits = {"defer_seconds": 0}
    outcome = machine.finish()
    assert outcome.status == "FAILED"
    assert outcome.detail["reason"] == "put off for 0 s: pressing"
    assert machine.press.steps == []
    machine.process().ended("job")
    machine.press.busy = ["pressing"]
    machine.limits = {"defer_seconds": 0.1}
    machine.until_reboot()
    assert {"state": "waiting", "reason": "pressing"}.items() <= machine.told[0].items()


def test_a_closed_window_is_asked_once_more_here(machine: Machine):
    """The file came in its window, and the device's clock says that it is over."""
    machine.limits = {"window": "22:00-04:00", "defer_seconds": 0}
    machine.until_reboot()  # at 0 o'clock of the epoch it is open
    assert machine.finish().status == "SUCCEEDED"
    machine.process().ended("job")
    machine.press.runs, machine.limits = "1.0.0", {"window": "12:00-13:00", "defer_seconds": 0}
    assert "the window of this device is 12:00-13:00" in machine.finish().detail["reason"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.9"}, "`firmware` 0.9 is not later than 1.0.0"),
        ({"version": "1.0.0-rc.1"}, "is not later than 1.0.0"),
        ({"version": "black"}, "is not later than 1.0.0"),
        ({"requires": {"bootloader": "3"}}, "requires `bootloader` 3, of which nothing is known"),
        ({"requires": {"firmware": "1.5"}}, "it requires `firmware` 1.5, here is 1.0.0"),
        ({"version": "0.9", "downgrade": True}, None),
        ({"requires": {"firmware": "1"}}, None),
    ],
)
def test_what_does_not_fit_is_refused_before_a_byte(
    machine: Machine, changes: dict[str, object], words: str | None
):
    """A downgrade that nobody allowed, and what requires more than is there, are not fetched."""
    machine.press.reboots = False
    manifest = Manifest(**{**vars(NEW), **changes})  # pyright: ignore[reportArgumentType]
    outcome = machine.ask(machine.process(), manifest)
    assert outcome is not None
    if words is None:
        assert outcome.status == "SUCCEEDED"
        return
    assert outcome.status == "REJECTED"
    assert words in outcome.detail["reason"]
    assert machine.fetched == 0


def test_a_job_that_is_gone_leaves_nothing_half_done(machine: Machine):
    """What an ended job began is given up once no job waits, and the next job finds it clean."""
    left_by_a_power_cut(machine, tries=1)
    machine.process().nothing_wanted()
    assert machine.press.steps == ["roll_back"]
    assert InstallFiles(machine.folder).read() is None


def test_a_record_that_cannot_be_read_is_none(machine: Machine):
    """A later SDK wrote it before somebody went back: the job begins anew."""
    (machine.folder / "install.json").write_text('{"job_id": "job", "state": "flying"}')
    machine.until_reboot()
    assert machine.finish().status == "SUCCEEDED"


@dataclass(kw_only=True)
class LookingPress(Press):
    """One that looks what a power cut in the middle of its install would leave."""

    files: InstallFiles
    left: list[InstallRecord | None] = field(default_factory=list["InstallRecord | None"])

    def install(self, update: Update) -> bool:
        """Look, then install."""
        self.left.append(self.files.read())
        return super().install(update)


def test_a_start_counts_before_it_begins(machine: Machine):
    """Else an install that ends the machine would do so for ever."""
    press = LookingPress(files=InstallFiles(machine.folder))
    machine.press = press
    left_by_a_power_cut(machine, tries=1)
    machine.until_reboot()
    [left] = press.left
    assert left is not None
    assert (left.state, left.tries) == (InstallState.INSTALLING, 2)
