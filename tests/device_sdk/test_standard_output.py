"""Standard output that takes nothing more: its reader has left, or its disk is full."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.standard_output import LastingHandler
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.devices import Observer, Tenant

PROGRAMS = ["--help", "--version", "status", "doctor"]
UNBUFFERED = {"buffered": "", "unbuffered": "1"}


def left_reader() -> int:
    """The end of a pipe for writing, whose other end nobody has."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def run(words: list[str], stdout: int, unbuffered: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the package to its end, and close ``stdout`` here."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(stdout)
    return done


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a device that has nothing else yet: the doctor has much to say."""
    fields = {"thing": "acme--press-07", "endpoint": "localhost", "port": 1, "ca_file": "ca.pem"}
    return str(write_config(tmp_path, fields))


@pytest.mark.parametrize("unbuffered", UNBUFFERED.values(), ids=UNBUFFERED)
@pytest.mark.parametrize("action", PROGRAMS)
def test_a_reader_that_leaves_hears_of_no_fault(config: str, action: str, unbuffered: str):
    """As with `status | head -1`: nothing on standard error, and no exit code of the runtime."""
    words = [action] if action.startswith("--") else [action, "--config", config]
    done = run(["cedarfleet_device", *words], left_reader(), unbuffered)
    assert done.stderr == ""
    assert done.returncode == (0 if action.startswith("--") else 1)


@pytest.mark.parametrize("unbuffered", UNBUFFERED.values(), ids=UNBUFFERED)
def test_an_answer_for_a_full_disk_is_lost_in_words(config: str, tmp_path: Path, unbuffered: str):
    """Exit code 1 and why, of both programs: never a success that nobody got."""
    for words in (
        ["cedarfleet_device", "status", "--config", config],
        ["cedarfleet_device.trust.signing", "key", str(tmp_path / "release.key")],
    ):
        done = run(words, os.open("/dev/full", os.O_WRONLY), unbuffered)
        assert done.stderr == "the answer cannot be written: No space left on device\n"
        assert done.returncode == 1


class Stream(io.StringIO):
    """Takes lines, or does not."""

    full = False

    def write(self, text: str) -> int:
        """Write, if there is room."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_lines_that_are_lost_are_told_once(capsys: pytest.CaptureFixture[str]):
    """Until one arrives again; what is raised is no matter of whoever logs."""
    stream = Stream()
    handler = LastingHandler(stream)
    for full in (False, True, True, False, True):
        stream.full = full
        handler.emit(logging.makeLogRecord({"msg": "a line"}))
    assert stream.getvalue() == "a line\n" * 2
    lost = "standard output takes no log: [Errno 28] No space left on device; going on without\n"
    assert capsys.readouterr().err == lost * 2


@pytest.mark.parametrize("lost", ["a reader that left", "a full disk"])
def test_a_device_whose_log_is_lost_serves_on(
    tenant: Tenant, observer: Observer, tmp_path: Path, lost: str
):
    """It carries out commands, says once on standard error what is, and ends as it is told to."""
    device = tenant.device(tmp_path)
    handlers = "\n    agent.command('echo')(lambda command: command.arguments)\n"
    with device.run(handlers) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        assert agent.stop() == 0
    stdout = left_reader() if "reader" in lost else os.open("/dev/full", os.O_WRONLY)
    more = ("--handlers", str(tmp_path / "handlers.py"))
    with subprocess.Popen(
        device.arguments("run", *more), stdout=stdout, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(stdout)
        try:
            for _ in range(3):
                command = tenant.send(new_command(device.thing, "echo", arguments={"a": 1}))
                final = observer.final(command)
                assert (final.state, final.detail) == (CommandState.SUCCEEDED, {"a": 1})
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert said.count("\n") == 1
    assert said.startswith("standard output takes no log: ")
