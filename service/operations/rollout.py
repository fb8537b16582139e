"""The rollout of a download: the worker makes its jobs in time, watches them, and ends them.

A download is looked at again and again, by a message that a timer sends. Each look reads what
stands, does what is due, and sets the timer anew: nothing rests on how often a message comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from service.at_once import each
from service.domain.downloads import (
    Closing,
    DeliveryState,
    DownloadRecordState,
    Outcome,
    is_failing,
)
from service.domain.instants import milliseconds
from service.domain.work import Work, WorkKind
from service.errors import ConflictError
from service.operations.budgets import turn_of_jobs
from service.operations.downloads import advance
from service.operations.rollout_events import events_of_download
from service.operations.wave_decisions import RolloutStoppedError, end_of_gone
from service.operations.waves import again_now, is_open, jobs_due, next_wave_at, until_job
from service.ports.metrics import JOBS, UNMEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.attempts import Survey
    from service.domain.downloads import DeliveryJob, DownloadRecord
    from service.domain.instants import Clock
    from service.domain.rollouts import PlannedRollout
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.operations.event_telling import EventTelling
    from service.operations.wave_decisions import WaveDecisions
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries, DownloadJobs, DownloadRecords
    from service.ports.metrics import Metrics
    from service.ports.work import Timers, WorkQueue
    from service.settings import JobSettings

_CURRENT: Final = timedelta(minutes=10)
"""So long nobody asks again whether a device was retired: what waits for it then is withdrawn once
more (``retired_devices``)."""
_SHORTEST: Final = timedelta(minutes=1)  # between two looks: a timer is no more exact
_LONGEST: Final = timedelta(hours=6)
_LOOKS: Final = 8  # the pause is this part of the age: half an hour of four
_SETTLED: Final = timedelta(days=1)  # between two questions to IoT Jobs for what events left open
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Handlers of the messages about downloads; done twice is as good as once."""

    devices: DeviceFacts
    records: DownloadRecords
    deliveries: Deliveries
    jobs: DownloadJobs
    pace: Pace
    queue: WorkQueue
    timers: Timers
    decisions: WaveDecisions
    telling: EventTelling
    clock: Clock
    settings: JobSettings
    metrics: Metrics = UNMEASURED

    async def advance(self, tenant: Tenant, work: Work) -> None:
        """Look at a download: count, stop what fails, have due jobs made, and set the timer."""
        record = await self.records.read(tenant, work.about["download"])
        if record is None or record.state is DownloadRecordState.FAILED or record.jobs == 0:
            return
        now = self.clock()
        begun = record.begun_at or milliseconds(now)
        record = replace(record, begun_at=begun, state=DownloadRecordState.STARTED)
        was_open = record.closing is None
        survey = await self.deliveries.survey(tenant, record)
        record = replace(record, counts=survey.counts)
        record = self._closed(record, survey, now)
        record = await self._with_next_wave(tenant, record, survey, now)
        asks = self._asks(record, now)
        if asks:
            record = replace(record, settled_at=milliseconds(now))
        # The timer comes first: whoever dies behind this line has the look repeated.
        if self._is_over(record, survey, now, was_open=was_open):
            await self.timers.forget(record.name)
        else:
            pause = self._pause(record, survey, now)
            await self.timers.wake(record.name, now + pause, advance(tenant, record.download_id))
        messages = [
            Work(
                kind=kind,
                issuer=tenant.issuer,
                tenant=tenant.id,
                about={"download": record.download_id, "job": f"{number:02}"},
            )
            for kind, number in (
                *self._due(record, survey, now, asks=asks, was_open=was_open),
                *((WorkKind.TELL_DELIVERED, number) for number in sorted(survey.unaudited)),
            )
        ]
        if messages:
            await self.queue.send(messages)
        await self.records.settle(tenant, record)
        events, told = events_of_download(record, now_ms=milliseconds(now))
        if events or told != record.told:
            # What is not written down as told is told again by a later look, under the same id.
            await self.telling.tell(tenant, events)
            await self.records.settle(tenant, replace(record, told=told))
        log.info(
            "download.looked_at",
            download=record.name,
            made=len(survey.made),
            jobs=record.jobs,
            counts={str(state): count for state, count in survey.counts.items()},
            closing=record.closing,
        )

    async def make_job(self, tenant: Tenant, work: Work) -> None:
        """Make one job, unless it is made or the download is closed."""
        found = await self._job(tenant, work)
        if found is None:
            return
        record, job = found
        if job.made_at is not None:
            return
        if record.closing is not None:
            # Whoever was cut off in making it may have made it all the same.
            await self.cancel_job(tenant, work)
            return
        # A later look sends for it again.
        if self.may_make(record, job):
            await self.make(tenant, work, record, job)

    async def make(
        self, tenant: Tenant, work: Work, record: DownloadRecord, job: DeliveryJob
    ) -> None:
        """Make a job, or a round of one, for those of its devices that get it now."""
        try:
            wanted = await self._wanted(tenant, record, job)
        except RolloutStoppedError as stopped:
            await self._stop(tenant, record, str(stopped))
            await self.cancel_job(tenant, work)
            return
        while wanted is not None:
            await self._turn()
            try:
                await self.jobs.make(tenant, record, wanted)
                break
            except ConflictError:
                left = await self._without_the_gone(tenant, record, wanted)
                if left == wanted:
                    raise
                wanted = left
        await self.deliveries.made(tenant, record, job, now_ms=milliseconds(self.clock()))
        self.metrics.count(JOBS, "made")
        log.info("job.made", job=job.id_in(record), devices=len(wanted.members) if wanted else 0)
        # Closed meanwhile, maybe by somebody who found no such job to cancel.
        await self.cancel_job(tenant, work)

    def may_make(self, record: DownloadRecord, job: DeliveryJob) -> bool:
        """Whether its wave has begun, and nothing holds it."""
        if record.rollout is None:
            return True
        begun = record.wave_of(job.number) in record.waves_at
        return begun and not record.is_held and is_open(record, self.clock())

    async def _wanted(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> DeliveryJob | None:
        """The job with the devices that get it now, or ``None``.

        Raises:
            RolloutStoppedError: as ``_still_allowed``.
        """
        if record.rollout is not None:
            return await self._still_allowed(tenant, record, record.rollout, job)
        if self.clock() - _instant(record.created_at) > _CURRENT:
            return await self._without_the_gone(tenant, record, job)
        return job

    async def _still_allowed(
        self, tenant: Tenant, record: DownloadRecord, rollout: PlannedRollout, job: DeliveryJob
    ) -> DeliveryJob | None:
        """The job with the devices that are allowed now, or ``None``; the others are told so.

        Raises:
            RolloutStoppedError: nothing of the download may begin any more.
        """
        if job.decided_at is not None:
            # Whoever was cut off may have made it: whom it reached then was allowed then.
            await self._turn()
            if await self.jobs.outcomes(tenant, record, job):
                return job
        refused = await self.decisions.refused(tenant, record, rollout, job)
        now = milliseconds(self.clock())
        await self.deliveries.tell(tenant, record, job, refused)
        await self.deliveries.decided(tenant, record, job, now_ms=now)
        left = tuple(device for device in job.members if device not in refused)
        return replace(job, members=left) if left else None

    async def _stop(self, tenant: Tenant, record: DownloadRecord, why: str) -> None:
        """Have nothing of it begin any more, and the next look see to what was made."""
        await self.records.close(tenant, record, Closing.STOPPED, why=why)
        log.warning("download.stopped", download=record.name, why=why)
        await self.queue.send([advance(tenant, record.download_id)])

    async def _with_next_wave(
        self, tenant: Tenant, record: DownloadRecord, survey: Survey, now: datetime
    ) -> DownloadRecord:
        """The record with its next wave begun, if that is due."""
        wave = len(record.waves_at)
        due = next_wave_at(record, survey, now, self.settings.devices_per_minute)
        if due is None or due > now:
            return record
        at = milliseconds(now)
        # Who paused or closed it meanwhile was first: then it is for a later look.
        if not await self.records.begin_wave(tenant, record, wave, at_ms=at):
            return record
        log.info("download.wave_begun", download=record.name, wave=wave, devices=record.waves[wave])
        return replace(record, waves_at={**record.waves_at, wave: at})

    async def cancel_job(self, tenant: Tenant, work: Work) -> None:
        """Have the devices of one job of a closed download that have not begun begin no more."""
        found = await self._job(tenant, work)
        # Fail closed: only what stands in the record cancels anything.
        if found is None or found[0].closing in {None, Closing.ENDED}:
            return
        record, job = found
        for one, _ in await self.deliveries.attempts(tenant, record, job.number):
            await self._cancel(tenant, record, one)

    async def _cancel(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> None:
        await self._turn()
        if await self.jobs.cancel(tenant, record, job):
            self.metrics.count(JOBS, "canceled")
            if job.made_at is None:
                now = milliseconds(self.clock())
                await self.deliveries.made(tenant, record, job, now_ms=now)
            await self._turn()
            known = await self.jobs.outcomes(tenant, record, job)
        else:
            known = {}
        at = milliseconds(self.clock())
        never = Outcome(state=DeliveryState.CANCELED, at=at, reason="it had not begun")
        ended = {device: known.get(device, never) for device in job.members}
        await self._tell(tenant, record, job, ended)
        await self.deliveries.canceled(tenant, record, job, now_ms=at)
        log.info("job.canceled", job=job.id_in(record), closing=record.closing)

    async def settle_job(self, tenant: Tenant, work: Work) -> None:
        """Ask IoT Jobs how the devices of one job ended, and store what no event has told."""
        found = await self._job(tenant, work)
        if found is None:
            return
        record, job = found
        for one, _ in await self.deliveries.attempts(tenant, record, job.number):
            if one.made_at is None:
                continue
            await self._turn()
            outcomes = await self.jobs.outcomes(tenant, record, one)
            self.metrics.count(JOBS, "asked")
            await self._tell(tenant, record, one, outcomes)

    async def _tell(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome | None],
    ) -> None:
        ended = {device: outcome for device, outcome in outcomes.items() if outcome is not None}
        await self.deliveries.tell(tenant, record, job, ended)

    async def _turn(self) -> None:
        await turn_of_jobs(self.pace, self.settings)

    async def _job(self, tenant: Tenant, work: Work) -> tuple[DownloadRecord, DeliveryJob] | None:
        record = await self.records.read(tenant, work.about["download"])
        if record is None or record.state is DownloadRecordState.FAILED:
            return None
        found = await self.deliveries.job(tenant, record, int(work.about["job"]))
        return None if found is None else (record, found[0])

    async def _without_the_gone(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> DeliveryJob | None:
        """A job for those that are left, or ``None``; who is gone or was retired is told so."""
        now = milliseconds(self.clock())
        devices = await each(partial(self.devices.find, tenant), job.members)
        gone = {
            name: replace(end, at=now)
            for name, device in zip(job.members, devices, strict=True)
            if (end := end_of_gone(device)) is not None
        }
        await self.deliveries.tell(tenant, record, job, gone)
        left = tuple(device for device in job.members if device not in gone)
        return replace(job, members=left) if left else None

    def _closed(self, record: DownloadRecord, survey: Survey, now: datetime) -> DownloadRecord:
        """The record, closed if it is time for it."""
        if record.closing is not None:
            return record
        closing = self._closing(record, survey, now)
        why = "too many devices failed" if closing is Closing.STOPPED else None
        return replace(record, closing=closing, why=why)

    def _closing(self, record: DownloadRecord, survey: Survey, now: datetime) -> Closing | None:
        # Whoever is to be tried again has not ended for good.
        if sum(survey.counts.values()) >= record.devices and not survey.again:
            return Closing.ENDED
        if now >= self._ends_at(record):
            return Closing.EXPIRED
        if is_failing(record, survey.judged):
            log.warning("download.stopped", download=record.name)
            return Closing.STOPPED
        return None

    def _asks(self, record: DownloadRecord, now: datetime) -> bool:
        """Whether it is time to ask IoT Jobs itself."""
        last = _instant(record.settled_at or record.begun_at or 0)
        return record.closing is not Closing.ENDED and (
            now >= last + _SETTLED or now >= self._ends_at(record)
        )

    def _due(
        self,
        record: DownloadRecord,
        survey: Survey,
        now: datetime,
        *,
        asks: bool,
        was_open: bool,
    ) -> list[tuple[WorkKind, int]]:
        """What is to be done now, and for which job."""
        if record.closing is Closing.ENDED:
            return []
        unended = [
            number
            for number in range(record.jobs)
            if survey.ended.get(number, 0) < record.members_of(number)
        ]
        due = [(WorkKind.SETTLE_JOB, number) for number in unended if number in survey.made]
        due = due if asks else []
        if record.closing is not None:
            # One that is not made may be being made while the download is closed: at a later look.
            open_jobs = [
                number
                for number in unended
                if number not in survey.canceled and (number in survey.made or not was_open)
            ]
            return [*due, *((WorkKind.CANCEL_JOB, number) for number in open_jobs)]
        if record.is_held or not is_open(record, now):
            return due
        # All of a minute at once, since no look comes sooner.
        soon, rate = milliseconds(now + _SHORTEST), self.settings.devices_per_minute
        jobs = [number for number, at in jobs_due(record, survey, rate) if at < soon]
        due += [(WorkKind.MAKE_JOB, number) for number in jobs]
        return due + [(WorkKind.RETRY_JOB, number) for number in again_now(survey, now, rate)]

    def _is_over(
        self, record: DownloadRecord, survey: Survey, now: datetime, *, was_open: bool
    ) -> bool:
        """Whether nothing more is to be looked for."""
        if record.closing is Closing.ENDED or now >= self._ends_at(record) + _SETTLED:
            return True
        # Until a later look, since a job may be being made while its download is closed.
        return not was_open and sum(survey.counts.values()) >= record.devices

    def _pause(self, record: DownloadRecord, survey: Survey, now: datetime) -> timedelta:
        """Until the next look: until a job is due, else the longer, the older the download is."""
        begun, ends = _instant(record.begun_at or 0), self._ends_at(record)
        pause = min(max((now - begun) / _LOOKS, _SHORTEST), _LONGEST)
        if record.closing is None:
            if not record.is_held:
                rate = self.settings.devices_per_minute
                pause = min(pause, until_job(record, survey, now, rate) or pause)
            if now < ends:
                pause = min(pause, ends - now)
        return max(pause, _SHORTEST)

    def _ends_at(self, record: DownloadRecord) -> datetime:
        return _instant(record.begun_at or 0) + timedelta(days=self.settings.download_days)


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
