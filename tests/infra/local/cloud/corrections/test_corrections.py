"""Every correction of the emulator closes a hole that is open without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.cloud.corrections import CORRECTIONS
from infra.local.cloud.embedded import FRONT_DOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN = Path(__file__).parent / "probes" / "run.py"
_ALL = {correction.__name__ for correction in CORRECTIONS}
_ROOT, _ONLY, _LOOPBACK = "root_key_is_one_and_verified", "only_signature_version_4_counts", "listens_on_loopback"
_SIGNING = {_ROOT, _ONLY}
# (left out, probed): what hides another hole is left out with it.
_OPEN = (
    ({FRONT_DOOR}, {FRONT_DOOR}),
    ({FRONT_DOOR, _ONLY}, {_ONLY}),
    ({FRONT_DOOR, _ROOT, _ONLY}, {_ROOT}),
    ({_LOOPBACK}, {_LOOPBACK}),
    (_ALL - _SIGNING - {_LOOPBACK}, _ALL - _SIGNING - {_LOOPBACK}),
)
_CLOSED: tuple[tuple[set[str], set[str]], ...] = (
    (set(), _ALL | {FRONT_DOOR}),
    ({FRONT_DOOR}, _SIGNING),
    ({FRONT_DOOR, _ONLY}, {_ROOT}),
)


def _probe(folder: Path, runs: Sequence[tuple[set[str], set[str]]]) -> list[dict[str, bool]]:
    """Run all at the same time, each in its own process and directory; of each its holes by name: open?"""
    started = [
        subprocess.Popen(
            [sys.executable, str(_RUN), str(folder / str(number)), " ".join(left_out), " ".join(probed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, (left_out, probed) in enumerate(runs)
    ]
    found: list[dict[str, bool]] = []
    try:
        for process in started:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            found.append(json.loads(output))
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, bool]]:
    """What the runs of ``_OPEN`` and then those of ``_CLOSED`` found."""
    return _probe(tmp_path_factory.mktemp("clouds"), _OPEN + _CLOSED)


@pytest.mark.parametrize("name", sorted(_ALL | {FRONT_DOOR}))
def test_correction_closes_a_hole(name: str, found: list[dict[str, bool]]) -> None:
    """The hole is open in a cloud without the correction and closed in every one with it."""
    without, corrected = found[: len(_OPEN)], found[len(_OPEN) :]
    assert [run[name] for run in without if name in run] == [True]
    assert {run[name] for run in corrected if name in run} == {False}


def test_every_correction_is_probed() -> None:
    """No correction is without a probe, so that a new one cannot be added without showing what it closes."""
    assert set[str]().union(*(probed for _, probed in _OPEN)) == _ALL | {FRONT_DOOR}
