"""Every correction of the emulator closes a hole that is open without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.cloud.corrections import CORRECTIONS
from infra.local.cloud.embedded import FRONT_DOOR

# Six clouds at once: on a loaded machine that is slow, not wrong.
pytestmark = pytest.mark.timeout(600)
_RUN = Path(__file__).parent / "probes" / "run.py"
# Rates and delays of the table of limits: their tests advance the clock, which probes share.
_PACED = {
    correction.__name__
    for correction in CORRECTIONS
    if correction.__module__.endswith((".broker_limits", ".delays"))
} | {"executions_are_limited"}
_ALL = {correction.__name__ for correction in CORRECTIONS} - _PACED
_ROOT, _ONLY, _LOOPBACK = (
    "root_key_is_one_and_verified",
    "only_signature_version_4_counts",
    "listens_on_loopback",
)
# Its hole shows only while `slow_subscriber_is_dropped` is there.
_DISCONNECT = "disconnect_behind_answers_counts"
# All of one correction.
_SESSIONS = {
    "session_is_taken_over",
    "ending_session_is_kept",
    "ending_session_is_resumed",
}
_SIGNING = {_ROOT, _ONLY}
_REST = _ALL - _SIGNING - {_LOOPBACK, _DISCONNECT}
# (left out, open, closed): what hides another hole is left out with it.
_RUNS: tuple[tuple[set[str], set[str], set[str]], ...] = (
    (set(), set(), _ALL | {FRONT_DOOR} | _SESSIONS),
    ({FRONT_DOOR, _DISCONNECT}, {FRONT_DOOR, _DISCONNECT}, _SIGNING),
    ({FRONT_DOOR, _ONLY}, {_ONLY}, {_ROOT}),
    ({FRONT_DOOR, _ONLY, _ROOT}, {_ROOT}, set()),
    ({_LOOPBACK}, {_LOOPBACK}, set()),
    (_REST, _REST | _SESSIONS, set()),
)


def _probe(folder: Path) -> list[dict[str, bool]]:
    """Run all at the same time, each in a process and directory; of each: hole -> open?"""
    runs = [(" ".join(left_out), " ".join(opened | closed)) for left_out, opened, closed in _RUNS]
    with subprocess.Popen(
        [sys.executable, str(_RUN), str(folder), json.dumps(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=580)  # alone: 35 s
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the clouds too
            raise
    assert process.returncode == 0, errors
    found: list[dict[str, bool]] = json.loads(output)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bool]]:
    """What each of ``_RUNS`` found."""
    return _probe(tmp_path_factory.mktemp("clouds"))


@pytest.mark.parametrize("name", sorted(_ALL | {FRONT_DOOR} | _SESSIONS))
def test_correction_closes_a_hole(name: str, found: list[dict[str, bool]]) -> None:
    """The hole is open in the cloud without the correction and closed in every one with it."""
    without = [
        answers[name]
        for (_, opened, _), answers in zip(_RUNS, found, strict=True)
        if name in opened
    ]
    corrected = {
        answers[name]
        for (_, _, closed), answers in zip(_RUNS, found, strict=True)
        if name in closed
    }
    assert without == [True]
    assert corrected == {False}
