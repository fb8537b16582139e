"""One state of a command out of what was recorded and what was reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from cedarfleet_device.wire import CommandState
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.commands import (
    CLAIM_MS,
    CommandRecord,
    CommandRecordState,
    RecordedCommand,
    ReportedState,
    status_of,
)
from service.domain.instants import new_ulid

EXPIRY: Final = 1_000
CANCELED: Final = CommandState.CANCELED
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
)
@example(CommandRecordState.FAILED, [ReportedState(sequence=1, state=CANCELED)], 0)
@example(CommandRecordState.CREATED, [ReportedState(sequence=1, state=CANCELED)], 0)
def test_the_device_wins_whatever_the_record_and_clock_say(
    state: CommandRecordState, states: list[ReportedState], now_ms: int
) -> None:
    """What the device reported decides, in any order; its first final state is not taken back."""
    status = status_of(record(state), states, now_ms=now_ms, retired_at=None)
    ordered = sorted(states, key=lambda told: told.sequence)
    finals = [told for told in ordered if told.state.is_final]
    if state is CommandRecordState.FAILED and {told.state for told in ordered} == {CANCELED}:
        # Of what surely never left it knows the cancel alone.
        assert (status.state, status.reported_by, status.is_final) == ("failed", "service", True)
        return
    expected = finals[0] if finals else ordered[-1]
    # A cancel came, and whether the command ever leaves is not known yet.
    may_fail = (
        state in {CommandRecordState.CREATED, CommandRecordState.PUBLISHING}
        and {told.state for told in ordered} == {CANCELED}
        and now_ms <= EXPIRY + CLAIM_MS
    )
    assert (status.state, status.reported_by, status.is_final) == (
        expected.state,
        "device",
        bool(finals) and not may_fail,
    )


@pytest.mark.parametrize(
    ("state", "now_ms", "expected"),
    [
        (CommandRecordState.CREATED, EXPIRY, "created"),
        (CommandRecordState.CREATED, EXPIRY + 1, "expired"),
        (CommandRecordState.CREATED, EXPIRY + CLAIM_MS + 1, "expired"),
        (CommandRecordState.PUBLISHING, EXPIRY, "publishing"),
        (CommandRecordState.PUBLISHING, EXPIRY + CLAIM_MS + 1, "expired"),
        (CommandRecordState.UNCONFIRMED, EXPIRY, "unconfirmed"),
        (CommandRecordState.UNCONFIRMED, EXPIRY + CLAIM_MS + 1, "expired"),
        (CommandRecordState.PUBLISHED, EXPIRY, "published"),
        (CommandRecordState.PUBLISHED, EXPIRY + 1, "expired"),
        (CommandRecordState.RECEIVED, EXPIRY, "received"),
        (CommandRecordState.RECEIVED, EXPIRY + 1, "expired"),
        (CommandRecordState.FAILED, 0, "failed"),
        (CommandRecordState.FAILED, EXPIRY + 1, "failed"),
    ],
)
def test_a_silent_devices_command_is_as_record_and_clock_say(
    state: CommandRecordState, now_ms: int, expected: str
) -> None:
    """Past its expiry no device starts it; final is only what has not left, and never will."""
    status = status_of(record(state), (), now_ms=now_ms, retired_at=None)
    by = "device" if expected == "received" else "service"  # it acknowledged the command
    assert (status.state, status.reported_by) == (expected, by)
    never_left = state is CommandRecordState.CREATED and now_ms > EXPIRY + CLAIM_MS
    assert status.is_final == (state is CommandRecordState.FAILED or never_left)
    if expected == "failed":
        assert status.detail == {"reason": "broker"}


def test_what_was_canceled_here_stays_canceled_here() -> None:
    """Its cancel was told while it was still to leave; then the line let it not leave after all."""
    held_back = replace(record(CommandRecordState.CREATED), canceled_at=1)
    told = [ReportedState(sequence=1, state=CANCELED)]
    before, after = (
        status_of(held_back, states, now_ms=2, retired_at=None) for states in ((), told)
    )
    assert before == after
    assert (after.state, after.reported_by, after.is_final) == (CANCELED, "service", True)


def test_an_expired_command_says_whether_it_surely_left() -> None:
    """A record that stayed `created` promises no publish; a published one, a silent device."""
    reasons = {
        state: status_of(record(state), (), now_ms=EXPIRY + 1, retired_at=None).detail["reason"]
        for state in CommandRecordState
        if state is not CommandRecordState.FAILED
    }
    assert reasons[CommandRecordState.RECEIVED].startswith("the device received the command")
    assert reasons[CommandRecordState.PUBLISHED] == "the device did not answer in time"
    assert reasons[CommandRecordState.CREATED] == "the command was not sent before its expiry"
    for state in (CommandRecordState.PUBLISHING, CommandRecordState.UNCONFIRMED):
        assert reasons[state].startswith(
            "it was not confirmed that the command left for the device"
        )


OWN, OTHER = 5, 6


@pytest.mark.parametrize("before", list(CommandRecordState))
@pytest.mark.parametrize("after", list(CommandRecordState))
@pytest.mark.parametrize("claimed_at", [OWN, OTHER])
def test_a_record_takes_nothing_back(
    before: CommandRecordState, after: CommandRecordState, claimed_at: int
) -> None:
    """What surely left may be told by anybody, anything else by who claimed it last alone."""
    stands = replace(record(before), claimed_at=OWN)
    told = replace(record(after), claimed_at=claimed_at)
    final = {CommandRecordState.RECEIVED, CommandRecordState.FAILED, CommandRecordState.UNKNOWN}
    if after in {CommandRecordState.PUBLISHED, CommandRecordState.RECEIVED}:
        assert stands.may_become(told) is (before not in final)
    else:
        is_own = claimed_at == OWN and before is CommandRecordState.PUBLISHING
        assert stands.may_become(told) is is_own


@pytest.mark.parametrize(
    ("state", "now_ms", "free"),
    [
        (CommandRecordState.CREATED, 0, True),
        (CommandRecordState.UNCONFIRMED, 0, True),
        (CommandRecordState.PUBLISHING, CLAIM_MS, False),
        (CommandRecordState.PUBLISHING, CLAIM_MS + 1, True),
        (CommandRecordState.PUBLISHED, 2 * CLAIM_MS, False),
        (CommandRecordState.RECEIVED, 2 * CLAIM_MS, False),
        (CommandRecordState.FAILED, 2 * CLAIM_MS, False),
    ],
)
def test_a_command_is_claimed_by_one(state: CommandRecordState, now_ms: int, free: bool) -> None:
    """While it may still be sent, and whoever claimed it before is surely gone."""
    assert record(state).may_be_claimed(now_ms) is free


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("detail", [False, True])
def test_a_history_is_cut_where_anything_is_left_out(earlier: bool, detail: bool) -> None:
    """Earlier states, or the detail of one of them."""
    told = ReportedState(sequence=1, state=CommandState.RUNNING)
    cut = ReportedState(sequence=2, state=CommandState.RUNNING, detail_left_out=detail)
    recorded = RecordedCommand(
        record=record(CommandRecordState.PUBLISHED),
        states=(told, cut),
        earlier_left_out=earlier,
    )
    assert recorded.truncated is (earlier or detail)


def test_a_record_becomes_the_devices_message() -> None:
    """For its own thing, with the times of the record."""
    made = record(CommandRecordState.CREATED)
    message = made.message()
    assert (message.thing, message.name) == ("acme--press-01", "reboot")
    assert (message.issued_at, message.expires_at) == (0, EXPIRY)
    assert message.command_id == made.command_id


@given(
    st.sampled_from(sorted(set(CommandRecordState) - {CommandRecordState.UNKNOWN})),
    st.lists(reported, max_size=4),
    st.integers(0, 2 * EXPIRY),
    st.lists(st.integers(0, 10_000_000), min_size=2, max_size=2).map(sorted),
)
@example(CommandRecordState.CREATED, [], 0, [0, 10_000_000])
def test_what_waits_for_a_retired_device_has_ended(
    state: CommandRecordState, states: list[ReportedState], retired_at: int, later: list[int]
) -> None:
    """Final soon, in one state from the first moment on; what the device said it ended as stands.

    A command that had left is never called canceled by us, and one that never left nothing else.
    """
    seen = [
        status_of(record(state), states, now_ms=retired_at + after, retired_at=retired_at)
        for after in later
    ]
    ended_before = retired_at > EXPIRY
    if not ended_before:
        assert seen[0].state == seen[1].state, "it does not become another thing by waiting"
    assert status_of(
        record(state), states, now_ms=retired_at + 900_001, retired_at=retired_at
    ).is_final
    told = sorted((told for told in states if told.state.is_final), key=lambda told: told.sequence)
    for status in seen:
        if told and state is not CommandRecordState.FAILED:
            assert (status.state, status.reported_by) == (told[0].state, "device")
        elif not told and not ended_before:
            never_left = state is CommandRecordState.CREATED and not states
            assert (status.state == CANCELED) is never_left
            assert state is not CommandRecordState.PUBLISHED or status.state == "interrupted"


@pytest.mark.parametrize("retired_at", [0, 2 * EXPIRY])
def test_last_words_have_their_whole_time(retired_at: int) -> None:
    """A device that was retired may still tell its end, up to a quarter of an hour later."""
    seen = [
        status_of(record(CommandRecordState.PUBLISHED), (), now_ms=at, retired_at=retired_at)
        for at in (retired_at + 900_000, retired_at + 900_001)
    ]
    assert [status.is_final for status in seen] == [False, True]
