"""When jobs and waves of a download are due: what its record and its jobs say, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.domain.attempts import Survey
    from service.domain.downloads import DownloadRecord

_WAITING: Final = timedelta(minutes=15)  # for devices that must end before the next wave


def is_open(record: DownloadRecord, now: datetime) -> bool:
    """Whether its window lets jobs be made now; what has none is always open."""
    window = record.rollout.shape.window if record.rollout else None
    return window is None or window.opens_at(now) == now


def jobs_due(
    record: DownloadRecord, survey: Survey, devices_per_minute: int
) -> Iterator[tuple[int, int]]:
    """Jobs of begun waves that are to be made, with when; milliseconds since the epoch."""
    for number in range(record.jobs):
        due = record.due_at(number, devices_per_minute=devices_per_minute)
        if due is not None and not _is_done(record, survey, number):
            yield number, due


def next_wave_at(
    record: DownloadRecord, survey: Survey, now: datetime, devices_per_minute: int
) -> datetime | None:
    """From when on the next wave may begin; ``None``: nobody knows yet, or there is none."""
    rollout, wave = record.rollout, len(record.waves_at)
    if rollout is None or record.closing is not None or record.is_held:
        return None
    if wave == len(record.waves):
        return None
    at = _instant(record.begun_at or 0)
    if wave:
        jobs = [number for one in range(wave) for number in record.jobs_of_wave(one)]
        ended = sum(survey.ended.get(number, 0) for number in jobs)
        enough = 100 * ended >= rollout.shape.ended_percent * sum(record.waves[:wave])
        if not enough or not all(_is_done(record, survey, number) for number in jobs):
            return None
        last = record.due_at(jobs[-1], devices_per_minute=devices_per_minute) or 0
        at = _instant(last) + timedelta(minutes=rollout.shape.pause_minutes)
    window = rollout.shape.window
    return at if window is None else window.opens_at(max(at, now))


def again_now(survey: Survey, now: datetime, devices_per_minute: int) -> Iterator[int]:
    """Jobs of which devices are to be tried again by now, of as many devices as a minute takes."""
    left = devices_per_minute
    for number, again in sorted(survey.again.items(), key=lambda item: item[1].at):
        if _instant(again.at) > now or left <= 0:
            return
        left -= again.devices
        yield number


def until_job(
    record: DownloadRecord, survey: Survey, now: datetime, devices_per_minute: int
) -> timedelta | None:
    """How long until a job, a round or a wave is due; ``None``: all jobs are made."""
    due = [_instant(at) for _, at in jobs_due(record, survey, devices_per_minute)][:1]
    if survey.again:
        due.append(_instant(min(one.at for one in survey.again.values())))
        due = [min(due)]
    window = record.rollout.shape.window if record.rollout else None
    if due and window is not None:
        # What waits for the window's next opening is not looked at each minute.
        due = [window.opens_at(max(due[0], now))]
    wave = next_wave_at(record, survey, now, devices_per_minute)
    if wave is not None:
        due.append(wave)
    if due:
        return min(due) - now
    waits = record.rollout is not None and len(record.waves_at) < len(record.waves)
    return _WAITING if waits else None


def _is_done(record: DownloadRecord, survey: Survey, number: int) -> bool:
    """Whether a job is made, or nobody of it was left."""
    return number in survey.made or survey.ended.get(number, 0) >= record.members_of(number)


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
