"""One honest state out of what was recorded and what was reported."""

from __future__ import annotations

from typing import Final

import pytest
from cedarfleet_device.wire import CommandState, is_command_id
from hypothesis import given
from hypothesis import strategies as st

from service.domain.artifacts import is_artifact_name
from service.domain.commands import CommandRecord, CommandRecordState, ReportedState, status_of
from service.domain.downloads import DeliveryState, whole_state
from service.domain.instants import new_ulid

EXPIRY: Final = 1_000
reported = st.builds(
    ReportedState,
    sequence=st.integers(1, 9999),
    state=st.sampled_from(CommandState),
    detail=st.just({"from": "device"}),
)


def record(state: CommandRecordState) -> CommandRecord:
    """A command that expires at ``EXPIRY``."""
    return CommandRecord(
        command_id=new_ulid(0),
        tenant="acme",
        device="press-01",
        name="reboot",
        arguments={},
        created_by="somebody",
        created_at=0,
        expires_at=EXPIRY,
        state=state,
        failure="broker" if state is CommandRecordState.FAILED else None,
    )


@given(
    st.sampled_from(CommandRecordState),
    st.lists(reported, min_size=1, max_size=6),
    st.integers(0, 2 * EXPIRY),
    st.randoms(),
)
def test_the_device_wins_whatever_the_record_and_clock_say(
    state: CommandRecordState, states: list[ReportedState], now_ms: int, chance: object
) -> None:
    """Any word of the device decides, in any order of arrival; its first final state is never taken back."""
    status = status_of(record(state), states, now_ms=now_ms)
    ordered = sorted(states, key=lambda told: told.sequence)
    finals = [told for told in ordered if told.state.is_final]
    expected = finals[0] if finals else ordered[-1]
    assert (status.state, status.reported_by, status.is_final) == (
        expected.state,
        "device",
        bool(finals),
    )


@pytest.mark.parametrize(
    ("state", "now_ms", "expected"),
    [
        (CommandRecordState.CREATED, EXPIRY, "created"),
        (CommandRecordState.CREATED, EXPIRY + 1, "expired"),
        (CommandRecordState.PUBLISHED, EXPIRY, "published"),
        (CommandRecordState.PUBLISHED, EXPIRY + 1, "expired"),
        (CommandRecordState.FAILED, 0, "failed"),
        (CommandRecordState.FAILED, EXPIRY + 1, "failed"),
    ],
)
def test_without_a_word_of_the_device_the_record_and_the_clock_speak(
    state: CommandRecordState, now_ms: int, expected: str
) -> None:
    """Nothing stays open after its expiry."""
    status = status_of(record(state), (), now_ms=now_ms)
    assert (status.state, status.reported_by) == (expected, "service")
    assert status.is_final == (expected in ("expired", "failed"))


def test_an_expired_command_says_whether_it_is_known_to_have_left() -> None:
    """A record that stayed `created` promises no publish; only a published one lays the silence on the device."""
    reasons = {
        state: status_of(record(state), (), now_ms=EXPIRY + 1).detail["reason"]
        for state in (CommandRecordState.CREATED, CommandRecordState.PUBLISHED)
    }
    assert reasons[CommandRecordState.PUBLISHED] == "the device did not answer in time"
    assert reasons[CommandRecordState.CREATED].startswith(
        "it was not confirmed that the command left for the device"
    )


@pytest.mark.parametrize(
    ("job", "counts", "expected"),
    [
        ("IN_PROGRESS", {}, DeliveryState.QUEUED),
        ("IN_PROGRESS", {"queued": 2}, DeliveryState.QUEUED),
        ("IN_PROGRESS", {"queued": 1, "succeeded": 1}, DeliveryState.IN_PROGRESS),
        ("IN_PROGRESS", {"in_progress": 1}, DeliveryState.IN_PROGRESS),
        ("IN_PROGRESS", {"succeeded": 2}, DeliveryState.SUCCEEDED),
        ("COMPLETED", {"succeeded": 2}, DeliveryState.SUCCEEDED),
        ("COMPLETED", {"succeeded": 1, "failed": 1}, DeliveryState.PARTLY_FAILED),
        ("COMPLETED", {"failed": 1, "timed_out": 1}, DeliveryState.FAILED),
        ("COMPLETED", {"rejected": 1}, DeliveryState.FAILED),
        ("COMPLETED", {}, DeliveryState.UNKNOWN),
        ("CANCELED", {"succeeded": 1}, DeliveryState.CANCELED),
        ("SCHEDULED", {}, DeliveryState.QUEUED),
    ],
)
def test_a_completed_job_is_not_a_success_by_itself(
    job: str, counts: dict[str, int], expected: DeliveryState
) -> None:
    """IoT Jobs completes a job that failed everywhere; we say that it failed."""
    assert (
        whole_state(job, {DeliveryState(name): count for name, count in counts.items()}) is expected
    )


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(first: int, second: int) -> None:
    """A later instant gives a greater id; every id is a ULID of the wire."""
    ids = new_ulid(first), new_ulid(second)
    assert all(map(is_command_id, ids))
    if first != second:
        assert (ids[0] < ids[1]) == (first < second)


@given(st.text(max_size=40))
def test_an_accepted_file_name_has_plain_segments_only(text: str) -> None:
    """Whatever is accepted has no empty, `.` or `..` segment and nothing that a URL or job document could read."""
    if is_artifact_name(text):
        assert all(segment not in ("", ".", "..") for segment in text.split("/"))
        assert text.isascii()
        assert not set(text) & set("\\%?#&${}\"' \n\x00:*")
