"""Who is tried again, when, and how often: over a job and the rounds of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.attempts import (
    MAX_ROUNDS,
    Again,
    Attempts,
    deliveries,
    due_again,
    next_round,
    survey_of,
)
from service.domain.downloads import (
    Closing,
    DeliveryJob,
    DeliveryState,
    DownloadRecord,
    DownloadRecordState,
    Outcome,
    TargetKind,
)
from service.domain.rollouts import PlannedRollout, Reach, Shape

MINUTE = 60_000
PLANNED = PlannedRollout(
    shape=Shape(retries=2, retry_minutes=15), waves=(3,), reach=Reach(targets=3), requester="boss"
)
RECORD = DownloadRecord(
    download_id="01JD0000000000000000000000",
    tenant="acme",
    target_kind=TargetKind.GROUP,
    target="line-press",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=1,
    state=DownloadRecordState.STARTED,
    devices=3,
    rollout=PLANNED,
)
JOB = DeliveryJob(number=0, members=("a", "b", "c"), made_at=10)


def ended(state: DeliveryState, at: int = 100, reason: str | None = None) -> Outcome:
    """How it ended on a device."""
    return Outcome(state=state, at=at, reason=reason)


FAILED, TIMED_OUT, REJECTED, SUCCEEDED = map(
    ended,
    (
        DeliveryState.FAILED,
        DeliveryState.TIMED_OUT,
        DeliveryState.REJECTED,
        DeliveryState.SUCCEEDED,
    ),
)
FIRST: Attempts = [(JOB, {"a": FAILED, "b": SUCCEEDED})]
ROUND = DeliveryJob(number=0, members=("a",), round=1)


def test_who_failed_or_ran_out_of_time_is_tried_again() -> None:
    """From the end of its last attempt on, so many minutes later; what it rejects it rejects."""
    attempts: Attempts = [(JOB, {"a": FAILED, "b": TIMED_OUT, "c": REJECTED})]
    assert due_again(RECORD, attempts) == {"a": 100 + 15 * MINUTE, "b": 100 + 15 * MINUTE}
    assert due_again(RECORD, FIRST) == {"a": 100 + 15 * MINUTE}


def test_a_device_is_tried_as_often_as_was_planned() -> None:
    """Twice again, then no more; a round that has not ended on it is no end."""
    second: Attempts = [*FIRST, (replace(ROUND, made_at=20), {})]
    assert due_again(RECORD, second) == {}
    failed = ended(DeliveryState.FAILED, 500)
    second = [*FIRST, (replace(ROUND, made_at=20), {"a": failed})]
    assert due_again(RECORD, second) == {"a": 500 + 15 * MINUTE}
    third: Attempts = [*second, (replace(ROUND, round=2, made_at=30), {"a": failed})]
    assert due_again(RECORD, third) == {}


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, rollout=None),
        replace(RECORD, rollout=replace(PLANNED, shape=Shape())),
        replace(RECORD, closing=Closing.CANCELED),
    ],
    ids=["not planned", "without retries", "closed"],
)
def test_what_nobody_planned_is_not_tried_again(record: DownloadRecord) -> None:
    """Nor what somebody has closed: no round of it is made."""
    assert due_again(record, FIRST) == {}
    assert next_round(record, FIRST, now_ms=10**9) is None


def test_rounds_of_a_job_have_a_most() -> None:
    """As its id has two digits for them."""
    record = replace(RECORD, rollout=replace(PLANNED, shape=Shape(retries=5)))
    others = [(replace(ROUND, members=("x",), round=one), {}) for one in range(1, MAX_ROUNDS)]
    attempts: Attempts = [*FIRST, *others]
    assert due_again(record, attempts) == {"a": 100 + 15 * MINUTE}
    assert due_again(record, [*attempts, (replace(ROUND, members=("x",)), {})]) == {}


def test_a_round_is_made_once_it_is_due() -> None:
    """Of those alone that are; one that was written down and not made is made first."""
    at = 100 + 15 * MINUTE
    assert next_round(RECORD, FIRST, now_ms=at - 1) is None
    assert next_round(RECORD, FIRST, now_ms=at) == ROUND
    assert next_round(RECORD, [*FIRST, (ROUND, {})], now_ms=0) == ROUND
    assert next_round(RECORD, [(replace(JOB, made_at=None), {})], now_ms=at) is None, "no round"
    made: Attempts = [*FIRST, (replace(ROUND, made_at=20), {})]
    assert next_round(RECORD, made, now_ms=at) is None
    over: Attempts = [*FIRST, (ROUND, {"a": ended(DeliveryState.CANCELED)})]
    assert next_round(RECORD, over, now_ms=at) is None
    failed: Attempts = [*FIRST, (replace(ROUND, made_at=20), {"a": FAILED})]
    assert next_round(RECORD, failed, now_ms=at) == replace(ROUND, round=2)


def test_a_survey_counts_each_device_once() -> None:
    """By its last attempt; who is to be tried again has not ended, and when is told."""
    seen = survey_of(RECORD, {0: FIRST})
    assert seen.made == {0}
    assert seen.counts == {DeliveryState.FAILED: 1, DeliveryState.SUCCEEDED: 1}
    assert (seen.ended, seen.judged) == ({0: 1}, {DeliveryState.SUCCEEDED: 1})
    assert seen.again == {0: Again(devices=1, at=100 + 15 * MINUTE)}
    assert (seen.canceled, seen.unaudited) == (frozenset(), {0})
    cut_off = survey_of(RECORD, {0: [*FIRST, (ROUND, {})]})
    assert cut_off.again == {0: Again(devices=1, at=0)}, "written down, and not made"
    tried = survey_of(RECORD, {0: [*FIRST, (replace(ROUND, made_at=20), {})]})
    assert (tried.counts, tried.again) == ({DeliveryState.SUCCEEDED: 1}, {})
    unmade = survey_of(RECORD, {0: [(replace(JOB, made_at=None), {})], 1: FIRST})
    assert unmade.made == {1}


@pytest.mark.parametrize(("size", "judged"), [(9, {}), (10, {DeliveryState.FAILED: 10})])
def test_from_ten_ends_on_a_failure_counts_until_it_succeeds(
    size: int, judged: dict[DeliveryState, int]
) -> None:
    """Of fewer only who is tried no more, else one failure of a small wave would end it."""
    members = tuple(f"d{number}" for number in range(size))
    attempts: Attempts = [(replace(JOB, members=members), dict.fromkeys(members, FAILED))]
    assert survey_of(RECORD, {0: attempts}).judged == judged


def test_a_job_is_canceled_and_audited_with_all_its_rounds() -> None:
    """One round that is not, or one end that the trail does not tell of, and it is not."""
    job = replace(JOB, canceled_at=50, audited=frozenset({FAILED.mark("a"), SUCCEEDED.mark("b")}))
    done: Attempts = [(job, {"a": FAILED, "b": SUCCEEDED})]
    seen = survey_of(RECORD, {3: done})
    assert (seen.canceled, seen.unaudited) == ({3}, frozenset())
    more = survey_of(RECORD, {3: [*done, (replace(ROUND, made_at=20), {"a": FAILED})]})
    assert (more.canceled, more.unaudited) == (frozenset(), {3})


@pytest.mark.parametrize(
    ("record", "job", "state"),
    [
        (RECORD, JOB, DeliveryState.QUEUED),
        (RECORD, replace(JOB, made_at=None), DeliveryState.CREATED),
        (replace(RECORD, closing=Closing.CANCELED), JOB, DeliveryState.CANCELING),
        (
            replace(RECORD, closing=Closing.CANCELED),
            replace(JOB, canceled_at=5),
            DeliveryState.IN_PROGRESS,
        ),
    ],
)
def test_what_has_not_ended_is_told_by_its_job(
    record: DownloadRecord, job: DeliveryJob, state: DeliveryState
) -> None:
    """Made or not, to be canceled, or at it; beside it how another one ended, and why."""
    full = ended(DeliveryState.REJECTED, 70, "disk-full")
    found = {one.device: one for one in deliveries(record, [(job, {"b": SUCCEEDED, "c": full})])}
    assert [*found] == ["a", "b", "c"]
    assert (found["a"].state, found["a"].updated_at, found["a"].detail) == (state, None, {})
    assert (found["b"].state, found["b"].detail) == (DeliveryState.SUCCEEDED, {})
    assert (found["c"].state, found["c"].updated_at) == (DeliveryState.REJECTED, 70)
    assert found["c"].detail == {"reason": "disk-full"}
    assert {one.queued_at for one in found.values()} == {job.made_at}


def test_an_attempt_is_told_from_the_second_on() -> None:
    """By the round that it is in."""
    attempts: Attempts = [*FIRST, (replace(ROUND, made_at=20), {})]
    found = {one.device: one for one in deliveries(RECORD, attempts)}
    assert (found["a"].state, found["a"].detail) == (DeliveryState.QUEUED, {"attempt": "2"})
    assert (found["a"].queued_at, found["b"].queued_at) == (20, 10)
    assert found["b"].detail == {}
