"""When jobs and waves are due: by the record and its jobs alone, to the millisecond."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.attempts import Again, Survey
from service.domain.downloads import Closing, DownloadRecord, DownloadRecordState, TargetKind
from service.domain.rollouts import PlannedRollout, Reach, Shape, Window
from service.operations.waves import again_now, is_open, jobs_due, next_wave_at, until_job

if TYPE_CHECKING:
    from collections.abc import Mapping

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
PACE = 100  # devices a minute: a job each
NIGHT = Window(text="22:00-04:00")
AT_NIGHT = NOON + timedelta(hours=10)
UNPLANNED = DownloadRecord(
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
    devices=250,
    begun_at=NOON_MS,
)


def planned(*waves: int, begun: Mapping[int, int] | None = None, **shape: Any) -> DownloadRecord:
    """A download in waves, of which some began."""
    rollout = PlannedRollout(
        shape=Shape(**shape), waves=waves, reach=Reach(targets=sum(waves)), requester="boss"
    )
    return replace(UNPLANNED, devices=sum(waves), rollout=rollout, waves_at=begun or {})


def survey(
    *made: int, ended: Mapping[int, int] | None = None, again: Mapping[int, Again] | None = None
) -> Survey:
    """Jobs at a glance."""
    return Survey(made=frozenset(made), counts={}, ended=ended or {}, again=again or {})


@pytest.mark.parametrize(
    ("record", "now", "expected"),
    [
        (UNPLANNED, NOON, True),
        (planned(3), NOON, True),
        (planned(3, window=NIGHT), NOON, False),
        (planned(3, window=NIGHT), AT_NIGHT, True),
        (planned(3, window=NIGHT), AT_NIGHT - timedelta(milliseconds=1), False),
    ],
)
def test_a_window_alone_keeps_jobs_from_being_made(
    record: DownloadRecord, now: datetime, *, expected: bool
) -> None:
    """What has none is open at any time."""
    assert is_open(record, now) is expected


def test_jobs_of_begun_waves_are_due_in_their_turn() -> None:
    """None of a wave that has not begun, that is made, or of which nobody is left."""
    record = planned(250, 100, begun={0: NOON_MS})
    due = [(number, NOON_MS + number * MINUTE_MS) for number in range(3)]
    assert list(jobs_due(record, survey(), PACE)) == due
    assert list(jobs_due(record, survey(0), PACE)) == due[1:]
    assert list(jobs_due(record, survey(ended={2: 49}), PACE)) == due
    assert list(jobs_due(record, survey(ended={2: 50}), PACE)) == due[:2]
    both = replace(record, waves_at={0: NOON_MS, 1: NOON_MS + 1})
    assert list(jobs_due(both, survey(0, 1, 2), PACE)) == [(3, NOON_MS + 1)]


@pytest.mark.parametrize(
    "record",
    [
        UNPLANNED,
        planned(3, begun={0: NOON_MS}),
        replace(planned(3), closing=Closing.CANCELED),
        replace(planned(3), paused_at=NOON_MS),
    ],
    ids=["unplanned", "all_began", "closed", "paused"],
)
def test_no_wave_begins_that_there_is_not_or_that_is_held(record: DownloadRecord) -> None:
    """Whatever its jobs say."""
    assert next_wave_at(record, survey(0, ended={0: 3}), NOON, PACE) is None


def test_the_first_wave_begins_with_its_download() -> None:
    """From the worker's first look on."""
    assert next_wave_at(planned(3, 3), survey(), NOON + MINUTE, PACE) == NOON
    never_looked = replace(planned(3, 3), begun_at=None)
    assert next_wave_at(never_looked, survey(), NOON, PACE) == datetime.fromtimestamp(0, UTC)


@pytest.mark.parametrize(
    ("percent", "ended", "begins"),
    [
        (0, {}, True),
        (50, {0: 99}, False),
        (50, {0: 100}, True),
        (50, {0: 60, 1: 40}, True),
        (50, {0: 60, 1: 39}, False),
        (100, {0: 100, 1: 99}, False),
        (100, {0: 100, 1: 100}, True),
    ],
)
def test_a_wave_waits_for_enough_ends_of_those_before(
    percent: int, ended: Mapping[int, int], *, begins: bool
) -> None:
    """Of all waves before it together, and only once their jobs are all made."""
    record = planned(
        100, 100, 50, begun={0: NOON_MS, 1: NOON_MS + 5 * MINUTE_MS}, ended_percent=percent
    )
    at = next_wave_at(record, survey(0, 1, ended=ended), NOON, PACE)
    assert at == (NOON + 5 * MINUTE if begins else None)
    is_over = ended.get(1) == 100
    at = next_wave_at(record, survey(0, ended=ended), NOON, PACE)
    assert at == (NOON + 5 * MINUTE if begins and is_over else None)


def test_a_wave_begins_a_pause_after_the_last_job_before_it() -> None:
    """Also where that job had nobody left; a window moves it to its next opening."""
    record = planned(250, 50, begun={0: NOON_MS}, pause_minutes=30)
    made = survey(0, 1, ended={2: 50})
    assert next_wave_at(record, made, NOON, PACE) == NOON + 32 * MINUTE
    at_night = planned(250, 50, begun={0: NOON_MS}, pause_minutes=30, window=NIGHT)
    assert next_wave_at(at_night, made, NOON, PACE) == AT_NIGHT
    in_the_night = AT_NIGHT + timedelta(hours=1)
    assert next_wave_at(at_night, made, in_the_night, PACE) == in_the_night


def test_rounds_are_made_as_they_are_due_as_many_as_fit() -> None:
    """The first that is due first; one that does not fit whole is made and uses up the minute."""
    rounds = survey(
        again={
            0: Again(devices=50, at=NOON_MS),
            1: Again(devices=50, at=NOON_MS - 2),
            2: Again(devices=1, at=NOON_MS - 1),
            3: Again(devices=1, at=NOON_MS + 1),
        }
    )
    assert list(again_now(rounds, NOON, 1_000)) == [1, 2, 0]
    assert list(again_now(rounds, NOON, 52)) == [1, 2, 0]
    assert list(again_now(rounds, NOON, 51)) == [1, 2]
    assert list(again_now(rounds, NOON, 50)) == [1]
    assert list(again_now(rounds, NOON - timedelta(milliseconds=3), 1_000)) == []


AGAIN = {0: Again(devices=1, at=NOON_MS + 7 * MINUTE_MS), 1: Again(devices=1, at=2 * NOON_MS)}


@pytest.mark.parametrize(
    ("record", "seen", "minutes"),
    [
        (UNPLANNED, survey(0), 1),
        (UNPLANNED, survey(0, 1, 2), None),
        (UNPLANNED, survey(0, 1, 2, again=AGAIN), 7),
        (UNPLANNED, survey(0, again=AGAIN), 1),
        (planned(250, begun={0: NOON_MS}), survey(0, 1, again=AGAIN), 2),
        (planned(250, begun={0: NOON_MS}, window=NIGHT), survey(0), 600),
        (planned(250, begun={0: NOON_MS}, window=NIGHT), survey(0, 1, 2), None),
        (planned(100, 50, begun={0: NOON_MS}, pause_minutes=9), survey(0), 9),
        (planned(100, 50, begun={0: NOON_MS}, pause_minutes=9), survey(0, again=AGAIN), 7),
        (planned(100, 50, begun={0: NOON_MS}, ended_percent=100), survey(0), 15),
        (planned(100, begun={0: NOON_MS}, ended_percent=100), survey(0), None),
        (replace(planned(100, 50), paused_at=NOON_MS), survey(), 15),
    ],
)
def test_the_worker_looks_again_when_something_is_due(
    record: DownloadRecord, seen: Survey, minutes: int | None
) -> None:
    """A job, a round or a wave, whichever is first; what waits for devices is looked at anyhow."""
    expected = None if minutes is None else minutes * MINUTE
    assert until_job(record, seen, NOON, PACE) == expected
