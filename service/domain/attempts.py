"""How often a device of a download was tried: its job, then the rounds of who is tried again.

A round is a job of IoT Jobs of its own, for those devices of one job whose last attempt failed or
timed out. It is written down before it is made, and a device's attempts are counted by the rows
that name it: whoever dies between the two tries nobody once more than was planned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from service.domain.downloads import (
    TRIED_AGAIN,
    Closing,
    Delivery,
    DeliveryJob,
    DeliveryState,
    Outcome,
)
from service.domain.rollouts import ENOUGH_ENDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.domain.downloads import DownloadRecord

MAX_ROUNDS: Final = 99
"""Of one job, as its id has two digits for them; beyond, nobody of it is tried again."""
Attempts = Sequence[tuple[DeliveryJob, Mapping[str, Outcome]]]
"""A job and its rounds in their order, each with how it ended on its devices."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """Devices of a job that are to be tried again.

    Attributes:
        devices: how many.
        at: from when on the first of them may be, in milliseconds since the epoch.
    """

    devices: int
    at: int


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All jobs of a download at a glance.

    Attributes:
        made: numbers of the jobs that were made.
        counts: ended devices by state; who is being tried again has not ended.
        judged: those by which it is told whether too many fail: from ten on who failed has failed
            until they succeed, so that retries hide nothing; of fewer only who is tried no more
            counts, else one failure of a small wave would be the end of it before any retry.
        again: by the job's number.
        ended: devices that have ended and are not tried again, by their job's number.
        canceled: numbers of the jobs of which what had not begun was canceled.
        unaudited: numbers of the jobs with an end that the audit trail does not tell of yet.
    """

    made: frozenset[int]
    counts: Mapping[DeliveryState, int]
    ended: Mapping[int, int]
    judged: Mapping[DeliveryState, int] = field(default_factory=dict[DeliveryState, int])
    again: Mapping[int, Again] = field(default_factory=dict[int, Again])
    canceled: frozenset[int] = frozenset()
    unaudited: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one device of a job stands.

    Attributes:
        job: the last one that is for it.
        outcome: how that ended on it; ``None``: it has not.
        last: how its last attempt ended that has; ``None``: none has.
        attempt: which one this is, from 1.
    """

    device: str
    job: DeliveryJob
    outcome: Outcome | None
    last: Outcome | None
    attempt: int


def standings(attempts: Attempts) -> Iterator[Standing]:
    """Each device of a job, in the order of its members."""
    (base, _), *_ = attempts
    rounds: dict[str, list[tuple[DeliveryJob, Mapping[str, Outcome]]]] = {}
    for one in attempts:
        for device in one[0].members:
            rounds.setdefault(device, []).append(one)
    for device in base.members:
        tried = rounds[device]
        job, outcomes = tried[-1]
        told = [known[device] for _, known in tried if device in known]
        yield Standing(
            device=device,
            job=job,
            outcome=outcomes.get(device),
            last=told[-1] if told else None,
            attempt=len(tried),
        )


def due_again(record: DownloadRecord, attempts: Attempts) -> dict[str, int]:
    """Devices that are to be tried again, with the milliseconds since the epoch from when on."""
    shape = record.rollout.shape if record.rollout else None
    # Fail closed: what nobody planned, or somebody has closed, is not tried again.
    if shape is None or not shape.retries or record.closing is not None:
        return {}
    if len(attempts) > MAX_ROUNDS:
        return {}
    return {
        one.device: one.outcome.at + shape.retry_minutes * 60_000
        for one in standings(attempts)
        if one.outcome is not None
        and one.outcome.state in TRIED_AGAIN
        and one.attempt <= shape.retries
    }


def next_round(record: DownloadRecord, attempts: Attempts, *, now_ms: int) -> DeliveryJob | None:
    """The round of a job that is to be made now: one that stands and was not made, or a new one."""
    last, ended = attempts[-1]
    if last.round and last.made_at is None and set(last.members) - ended.keys():
        return last
    due = due_again(record, attempts)
    members = tuple(device for device, at in due.items() if at <= now_ms)
    if not members:
        return None
    return DeliveryJob(number=last.number, round=last.round + 1, members=members)


def survey_of(record: DownloadRecord, jobs: Mapping[int, Attempts]) -> Survey:
    """All jobs of a download at a glance."""
    counts: Counter[DeliveryState] = Counter()
    last: Counter[DeliveryState] = Counter()
    settled: Counter[DeliveryState] = Counter()
    ended: Counter[int] = Counter()
    again: dict[int, Again] = {}
    for number, attempts in jobs.items():
        due = due_again(record, attempts)
        for one in standings(attempts):
            if one.outcome is not None:
                counts[one.outcome.state] += 1
                if one.device not in due:
                    ended[number] += 1
                    settled[one.outcome.state] += 1
            if one.last is not None:
                last[one.last.state] += 1
        job, told = attempts[-1]
        if job.round and job.made_at is None and set(job.members) - told.keys():
            # Whoever wrote it down was cut off before it was made.
            again[number] = Again(devices=len(job.members), at=0)
        elif due:
            again[number] = Again(devices=len(due), at=min(due.values()))
    return Survey(
        made=frozenset(number for number, ones in jobs.items() if ones[0][0].made_at is not None),
        counts=dict(counts),
        judged=dict(last if last.total() >= ENOUGH_ENDED else settled),
        ended=dict(ended),
        again=again,
        canceled=frozenset(
            number
            for number, ones in jobs.items()
            if all(job.canceled_at is not None for job, _ in ones)
        ),
        unaudited=frozenset(
            number
            for number, ones in jobs.items()
            if any(
                outcome.mark(device) not in job.audited
                for job, outcomes in ones
                for device, outcome in outcomes.items()
            )
        ),
    )


def deliveries(record: DownloadRecord, attempts: Attempts) -> Iterator[Delivery]:
    """Each device of a job; one whose end was not told is ``queued``, also while it downloads.

    IoT Jobs tells of no beginning (source: AWS IoT developer guide, "Jobs events"). But once what
    had not begun is canceled, whoever has not ended is at it.
    """
    for one in standings(attempts):
        job, outcome = one.job, one.outcome
        waiting = DeliveryState.CREATED if job.made_at is None else DeliveryState.QUEUED
        if job.canceled_at is not None:
            waiting = DeliveryState.IN_PROGRESS
        elif record.closing is Closing.CANCELED:
            waiting = DeliveryState.CANCELING
        detail = {} if outcome is None or outcome.reason is None else {"reason": outcome.reason}
        if one.attempt > 1:
            detail["attempt"] = str(one.attempt)
        yield Delivery(
            device=one.device,
            state=waiting if outcome is None else outcome.state,
            detail=detail,
            queued_at=job.made_at,
            updated_at=None if outcome is None else outcome.at,
        )
