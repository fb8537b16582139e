"""Members of the state's shadow, and the form by which a device sends its logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import (
    DesiredState,
    ReportedState,
    WireError,
    WrongVersionError,
    is_state_key,
    state_value,
)
from cedarfleet_device.wire.logs import MAX_LOGS_BYTES, LogUpload

DESIRED = DesiredState(version=2, value='{"rpm":900}', asked_at=1_700_000_000_000)
REPORTED = ReportedState(version=2, value=None, asked_at=1, failed="no power", at=2)
UPLOAD = {"url": "https://bucket.example", "fields": {"key": "a", "policy": "b"}, "max_bytes": 7}
LONGEST = json.dumps("x" * 1022)
ODD_VALUES = (7, "", "{", "NaN", "-Infinity", "1e999", "\ud800", '{"a":1,"a":1}', LONGEST + " ")


def test_members_are_read_as_they_were_written():
    """Also by way of a shadow, which leaves out what is `null`."""
    assert DesiredState.of(DESIRED.members()) == DESIRED
    assert DESIRED.read() == {"rpm": 900}
    for reported in (REPORTED, ReportedState(version=1, value="3", asked_at=1, failed=None, at=0)):
        assert ReportedState.of(reported.members()) == reported
        kept = {name: value for name, value in reported.members().items() if value is not None}
        assert ReportedState.of(kept) == reported


@pytest.mark.parametrize(
    "odd",
    [
        {"wire": 2},
        {"more": 1},
        *({"version": odd} for odd in (0, 10_000, True, "2")),
        *({"value": odd} for odd in ODD_VALUES),
        *({"asked_at": odd} for odd in (-1, 2**53, True, None)),
    ],
    ids=lambda odd: ascii(odd)[:40],
)
def test_other_members_are_refused(odd: dict[str, Any]):
    """What is asked for, and what was answered, are of the same forms."""
    error = WrongVersionError if "wire" in odd else WireError
    with pytest.raises(error):
        DesiredState.of({**DESIRED.members(), **odd})
    with pytest.raises(error):
        ReportedState.of({**REPORTED.members(), **odd})


@pytest.mark.parametrize(
    "odd", [{"failed": 7}, {"failed": "x" * 201}, {"at": None}, {"at": -1}], ids=str
)
def test_another_answer_is_refused(odd: dict[str, Any]):
    """Words that are none or too many, and no time."""
    with pytest.raises(WireError):
        ReportedState.of({**REPORTED.members(), **odd})


@pytest.mark.parametrize("none", [None, [], "text", {}])
def test_what_is_no_member_is_refused(none: object):
    """As anybody could write it there who may write the shadow."""
    for kind in (DesiredState, ReportedState):
        with pytest.raises(WireError):
            kind.of(none)


def test_members_at_their_edges_are_taken():
    """The longest value and words, the last version, the first and the last instant."""
    edges = {"version": 9999, "value": LONGEST, "asked_at": 2**53 - 1}
    assert DesiredState.of({**DESIRED.members(), **edges}).members() == {"wire": 1, **edges}
    read = ReportedState.of({**REPORTED.members(), **edges, "failed": "x" * 200, "at": 0})
    assert (read.value, read.failed, read.at) == (LONGEST, "x" * 200, 0)


def test_a_value_is_said_in_its_shortest_form():
    """As UTF-8, of 1 KB at most; what is no JSON is refused."""
    assert state_value({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'
    assert state_value("x" * 1022) == LONGEST
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for odd in ("x" * 1023, "ü" * 512, {1, 2}, float("nan"), "\ud800", deep):
        with pytest.raises(WireError):
            state_value(odd)


@pytest.mark.parametrize("key", ["a", "speed-limit", "a" * 40, "a1"])
def test_a_key_names_a_part_of_the_state(key: str):
    """a-z, 0-9 and `-`, a letter first."""
    assert is_state_key(key)


@pytest.mark.parametrize("key", ["", "A", "1a", "-a", "a_b", "a" * 41, "a\n", "é"])
def test_another_key_names_none(key: str):
    """Nothing that a shadow or a line of a log could read otherwise."""
    assert not is_state_key(key)


def test_the_form_of_an_upload_is_read_as_it_was_written():
    """And named by the object that it becomes; none of its fields is shown."""
    upload = LogUpload.of(UPLOAD)
    assert upload.arguments() == UPLOAD
    assert upload.key == "a"
    assert "policy" not in repr(upload)
    assert LogUpload.of({**UPLOAD, "max_bytes": MAX_LOGS_BYTES}).max_bytes == MAX_LOGS_BYTES
    most = {"key": "a", **{str(number): "" for number in range(15)}}
    assert LogUpload.of({**UPLOAD, "fields": most}).fields == most


@pytest.mark.parametrize(
    "odd",
    [
        {"more": 1},
        {"url": 7},
        *({"fields": odd} for odd in ([], {}, {"policy": "b"}, {"key": 7})),
        {"fields": {"key": "a", **{str(number): "" for number in range(16)}}},
        *({"max_bytes": odd} for odd in (0, True, "7", MAX_LOGS_BYTES + 1)),
    ],
    ids=lambda odd: str(odd)[:40],
)
def test_another_form_is_refused(odd: dict[str, Any]):
    """And what came is not in the words."""
    with pytest.raises(WireError):
        LogUpload.of({**UPLOAD, **odd})
