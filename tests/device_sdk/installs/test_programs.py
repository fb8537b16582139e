"""Installers that are programs: a maker's own, and RAUC's command line."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cedarfleet_device.installs.bounded import StepError
from cedarfleet_device.installs.programs import ProgramInstaller
from cedarfleet_device.installs.rauc import RaucInstaller
from cedarfleet_device.installs.steps import Update

UPDATE = Update(
    file=Path("/data/press.raucb"),
    package="firmware",
    version="2.0.0",
    former="1.0.0",
    sha256="0" * 64,
    size=3,
)
# Answers in the form of RAUC 1.8 (its --help; src/main.c, r_status_formatter_json), and keeps what
# was asked.
RAUC = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  "status --detailed --output-format=json") echo "rauc-Message: warns"; cat {status};;
  "install /data/broken.raucb") echo "LastError: signature verification failed"; exit 1;;
esac
"""


def program(folder: Path, text: str) -> Path:
    """An executable."""
    file = folder / "installer"
    file.write_text(text)
    file.chmod(0o755)
    return file


def slots(booted: str) -> str:
    """The status of a device whose slot 0 holds 1.0.0 and whose slot 1 holds 2.0.0."""
    return json.dumps(
        {
            "compatible": "press",
            "variant": "",
            "booted": "A",
            "boot_primary": "rootfs.0",
            "slots": [
                {
                    f"rootfs.{number}": {
                        "class": "rootfs",
                        "bootname": "AB"[number],
                        "state": "booted" if version == booted else "inactive",
                        "boot_status": "good",
                        "slot_status": {"bundle": {"compatible": "press", "version": version}},
                    }
                }
                for number, version in enumerate(("1.0.0", "2.0.0"))
            ],
        }
    )


@pytest.mark.parametrize(
    ("code", "install", "not_now", "works"),
    [
        (0, False, None, True),
        (10, True, StepError, StepError),
        (75, StepError, "pressing", False),
        (127, StepError, None, True),
        (1, StepError, StepError, StepError),
    ],
)
def test_an_exit_code_says_what_became_of_a_step(
    tmp_path: Path, code: int, install: object, not_now: object, works: object
):
    """Done, reboot, not now, unknown step, or failed with the last line as the reason."""
    file = program(tmp_path, f"#!/bin/sh\necho begin; echo pressing; exit {code}\n")
    installer = ProgramInstaller(file, limit_seconds=20)
    for step, expected in (
        (installer.install, install),
        (installer.not_now, not_now),
        (installer.works, works),
    ):
        if expected is StepError:
            with pytest.raises(StepError, match=rf"\(exit code {code}\): pressing"):
                step(UPDATE)
        else:
            assert step(UPDATE) == expected
    assert installer.installed("firmware") == ("pressing" if code == 0 else None)


def test_a_program_gets_what_it_installs(tmp_path: Path):
    """By its environment: file, package, versions and digest; the step is its argument."""
    file = program(
        tmp_path,
        '#!/bin/sh\necho "$1 $CEDARFLEET_FILE $CEDARFLEET_PACKAGE $CEDARFLEET_VERSION'
        ' $CEDARFLEET_FORMER $CEDARFLEET_SHA256"; exit 1\n',
    )
    said = f"roll-back /data/press.raucb firmware 2.0.0 1.0.0 {'0' * 64}"
    with pytest.raises(StepError, match=said):
        ProgramInstaller(file, limit_seconds=20).roll_back(UPDATE)


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path):
    """Also what it started: nothing of it goes on writing."""
    file = program(tmp_path, "#!/bin/sh\nsleep 100 & echo $!; wait\n")
    began = time.monotonic()
    with pytest.raises(StepError, match=r"did not end within 0\.2 s, and was killed"):
        ProgramInstaller(file, limit_seconds=0.2).install(UPDATE)
    assert time.monotonic() - began < 50, "the pipe is closed, so no child holds it"
    with pytest.raises(StepError, match="cannot be run: No such file"):
        ProgramInstaller(tmp_path / "none", limit_seconds=1).install(UPDATE)


def test_rauc_is_asked_by_its_command_line(tmp_path: Path):
    """Install, mark good, and the way back before and after the new slot was started."""
    log, status = tmp_path / "log", tmp_path / "status"
    file = program(tmp_path, RAUC.format(log=log, status=status))
    reboot = program(tmp_path / "..", f"#!/bin/sh\necho reboot >> {log}\n")
    installer = RaucInstaller(str(file), limit_seconds=20, reboot=[str(reboot)])
    status.write_text(slots("1.0.0"))
    assert installer.installed("firmware") == "1.0.0"
    assert installer.installed("recipe") is None
    assert installer.install(UPDATE) is True
    assert installer.roll_back(UPDATE) is False, "never started: what runs is started again"
    installer.reboot(UPDATE)
    status.write_text(slots("2.0.0"))
    installer.commit(UPDATE)
    assert installer.roll_back(UPDATE) is True
    asked = [line for line in log.read_text().splitlines() if "json" not in line]
    assert asked == [
        "install /data/press.raucb",
        "status mark-active booted",
        "reboot",
        "status mark-good booted",
        "status mark-bad booted",
        "status mark-active other",
    ]


def test_what_rauc_refuses_is_said_in_its_words(tmp_path: Path):
    """A bundle that is not good, an answer that is none, a package that is not the system."""
    status = tmp_path / "status"
    status.write_text("no json")
    file = program(tmp_path, RAUC.format(log=tmp_path / "log", status=status))
    installer = RaucInstaller(str(file), limit_seconds=20)
    broken = replace(UPDATE, file=Path("/data/broken.raucb"))
    with pytest.raises(StepError, match="LastError: signature verification failed"):
        installer.install(broken)
    with pytest.raises(StepError, match="does not answer in its JSON"):
        installer.installed("firmware")
    with pytest.raises(StepError, match="RAUC installs `firmware`, not `recipe`"):
        installer.install(replace(UPDATE, package="recipe"))
