"""Twins of the downloads in the commands table, of their deliveries, and of the jobs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from service.adapters.memory.idempotency import MemoryOnce
from service.adapters.memory.newest_first import newest_first
from service.domain.attempts import Attempts, Survey, deliveries, survey_of
from service.domain.downloads import (
    DeliveryJob,
    DeliveryState,
    DownloadPage,
    DownloadProgress,
    DownloadRecord,
    Outcome,
    counted,
    whole_state,
)
from service.errors import ConflictError, InvalidRequestError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.downloads import Closing, Delivery, DownloadFilter
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryDownloadRecords:
    """Downloads."""

    once: MemoryOnce[DownloadRecord] = field(default_factory=MemoryOnce[DownloadRecord])

    async def create(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        key: IdempotencyKey | None,
    ) -> DownloadRecord:
        return self.once.create(tenant.id, record.download_id, record, key)

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        known = self.once.records.get((tenant.id, record.download_id))
        if known is not None and known.closing not in {None, record.closing}:
            raise UnavailableError("the commands table")
        if known is not None:
            # As the table: what others have written meanwhile stays.
            record = replace(
                known,
                state=record.state,
                failure=record.failure,
                counts=record.counts,
                closing=record.closing,
                why=record.why or known.why,
                begun_at=known.begun_at or record.begun_at,
                settled_at=record.settled_at or known.settled_at,
                told=record.told,
            )
        self.once.settle(tenant.id, record.download_id, record)

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        return self.once.records.get((tenant.id, download_id))

    async def close(
        self, tenant: Tenant, record: DownloadRecord, closing: Closing, *, why: str | None = None
    ) -> bool:
        known = self.once.records[tenant.id, record.download_id]
        if known.closing is not None:
            return False
        self.once.settle(tenant.id, record.download_id, replace(known, closing=closing, why=why))
        return True

    async def pause(self, tenant: Tenant, record: DownloadRecord, *, at_ms: int | None) -> bool:
        known = self.once.records[tenant.id, record.download_id]
        if known.closing is not None:
            return False
        self.once.settle(tenant.id, record.download_id, replace(known, paused_at=at_ms))
        return True

    async def approve(
        self, tenant: Tenant, record: DownloadRecord, *, by: str, groups: tuple[str, ...]
    ) -> bool:
        known = self.once.records[tenant.id, record.download_id]
        if known.closing is not None or known.approved_by is not None:
            return False
        approved = replace(known, approved_by=by, approver_groups=groups)
        self.once.settle(tenant.id, record.download_id, approved)
        return True

    async def begin_wave(
        self, tenant: Tenant, record: DownloadRecord, wave: int, *, at_ms: int
    ) -> bool:
        known = self.once.records[tenant.id, record.download_id]
        if known.closing is not None or known.paused_at is not None or wave in known.waves_at:
            return False
        begun = replace(known, waves_at={**known.waves_at, wave: at_ms})
        self.once.settle(tenant.id, record.download_id, begun)
        return True

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: DownloadFilter
    ) -> DownloadPage:
        named = {
            download_id: record
            for (owner, download_id), record in self.once.records.items()
            if owner == tenant.id
        }
        ids, behind = newest_first(
            named,
            lambda one: wanted.shows(
                named[one].target_kind, named[one].target, named[one].artifact
            ),
            limit=limit,
            cursor=cursor,
        )
        return DownloadPage(records=tuple(named[one] for one in ids), cursor=behind)


@dataclass(kw_only=True)
class MemoryDeliveries:
    """Jobs and ends by the name of their download; ``end`` is what the IoT rule would write."""

    planned: dict[str, dict[int, DeliveryJob]] = field(
        default_factory=dict[str, dict[int, DeliveryJob]]
    )
    ends: dict[tuple[str, int], dict[str, Outcome]] = field(
        default_factory=dict[tuple[str, int], dict[str, Outcome]]
    )
    rounds: dict[tuple[str, int], list[DeliveryJob]] = field(
        default_factory=dict[tuple[str, int], list[DeliveryJob]]
    )
    round_ends: dict[tuple[str, str], dict[str, Outcome]] = field(
        default_factory=dict[tuple[str, str], dict[str, Outcome]]
    )

    async def plan(
        self, tenant: Tenant, record: DownloadRecord, jobs: Sequence[DeliveryJob]
    ) -> None:
        self.planned[record.name] = {job.number: job for job in jobs}

    async def job(
        self, tenant: Tenant, record: DownloadRecord, number: int
    ) -> tuple[DeliveryJob, Mapping[str, Outcome]] | None:
        job = self.planned.get(record.name, {}).get(number)
        return None if job is None else (job, self.ends.get((record.name, number), {}))

    async def attempts(self, tenant: Tenant, record: DownloadRecord, number: int) -> Attempts:
        job = self.planned.get(record.name, {}).get(number)
        if job is None:
            return ()
        every = [job, *self.rounds.get((record.name, number), [])]
        return [(one, dict(self._ends(record, one))) for one in every]

    async def retry(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        rounds = self.rounds.setdefault((record.name, job.number), [])
        if len(rounds) >= job.round:
            return False
        rounds.append(job)
        return True

    def _ends(self, record: DownloadRecord, job: DeliveryJob) -> dict[str, Outcome]:
        if not job.round:
            return self.ends.setdefault((record.name, job.number), {})
        return self.round_ends.setdefault((record.name, job.mark), {})

    def _note(self, record: DownloadRecord, job: DeliveryJob, **changes: Any) -> None:
        if job.round:
            rounds = self.rounds[record.name, job.number]
            rounds[job.round - 1] = replace(rounds[job.round - 1], **changes)
        else:
            jobs = self.planned[record.name]
            jobs[job.number] = replace(jobs[job.number], **changes)

    def _known(self, record: DownloadRecord, job: DeliveryJob) -> DeliveryJob:
        if job.round:
            return self.rounds[record.name, job.number][job.round - 1]
        return self.planned[record.name][job.number]

    async def of_device(
        self, tenant: Tenant, record: DownloadRecord, device_id: str
    ) -> Delivery | None:
        whole = await self.progress(tenant, record, limit=10_000, cursor=None)
        return next((one for one in whole.deliveries if one.device == device_id), None)

    async def made(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        known = self._known(record, job)
        made_at = now_ms if known.made_at is None else known.made_at
        self._note(record, job, made_at=made_at, canceled_at=None)

    async def decided(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        self._note(record, job, decided_at=now_ms)

    async def canceled(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob, *, now_ms: int
    ) -> None:
        self._note(record, job, canceled_at=now_ms)

    async def tell(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        known = self._ends(record, job)
        for device, outcome in outcomes.items():
            known.setdefault(device, outcome)

    async def audited(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        job: DeliveryJob,
        outcomes: Mapping[str, Outcome],
    ) -> None:
        marks = {outcome.mark(device) for device, outcome in outcomes.items()}
        self._note(record, job, audited=self._known(record, job).audited | marks)

    async def survey(self, tenant: Tenant, record: DownloadRecord) -> Survey:
        numbers = self.planned.get(record.name, {})
        return survey_of(
            record, {number: await self.attempts(tenant, record, number) for number in numbers}
        )

    async def progress(
        self,
        tenant: Tenant,
        record: DownloadRecord,
        *,
        limit: int,
        cursor: str | None,
    ) -> DownloadProgress:
        jobs = self.planned.get(record.name, {})
        shown = [
            one
            for number in jobs
            for one in deliveries(record, await self.attempts(tenant, record, number))
        ]
        survey = await self.survey(tenant, record)
        counts = counted(record, survey.counts) if record.jobs else {}
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        start = int(cursor or 0)
        return DownloadProgress(
            state=whole_state(record, counts),
            counts=counts,
            deliveries=tuple(shown[start : start + limit]),
            cursor=str(start + limit) if start + limit < len(shown) else None,
        )

    def end(self, record: DownloadRecord, device: str, outcome: Outcome) -> None:
        """Write down how it ended on a device, whatever stood there."""
        [job] = [job for job in self.planned[record.name].values() if device in job.members]
        rounds = self.rounds.get((record.name, job.number), [])
        last = next((one for one in reversed(rounds) if device in one.members), job)
        self._ends(record, last)[device] = outcome


@dataclass(kw_only=True)
class MemoryDownloadJobs:
    """Jobs by id; ``available = False`` makes each call fail.

    ``known`` is how executions ended, ``at_it`` are devices that have begun and not ended, ``gone``
    are those without a thing, and ``calls`` counts.
    """

    made: dict[str, DeliveryJob] = field(default_factory=dict[str, DeliveryJob])
    canceled: list[str] = field(default_factory=list[str])
    known: dict[str, dict[str, Outcome]] = field(default_factory=dict[str, dict[str, Outcome]])
    at_it: set[str] = field(default_factory=set[str])
    gone: set[str] = field(default_factory=set[str])
    available: bool = True
    calls: int = 0

    async def make(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> None:
        self._check()
        if self.gone & set(job.members):
            raise ConflictError("a device is gone")
        self.made.setdefault(job.id_in(record), job)

    async def cancel(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        self._check()
        if job.id_in(record) not in self.made:
            return False
        self.canceled.append(job.id_in(record))
        return True

    async def outcomes(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> Mapping[str, Outcome | None]:
        self._check()
        at_it: dict[str, Outcome | None] = dict.fromkeys(self.at_it.intersection(job.members))
        return at_it | self.known.get(job.id_in(record), {})

    async def waiting(self, tenant: Tenant, device_id: str) -> Sequence[tuple[str, str]]:
        self._check()
        return [
            (name.removesuffix(f"-{job.mark}")[-26:], job.mark)
            for name, job in self.made.items()
            if name.startswith(f"{tenant.id}--")
            and device_id in job.members
            and name not in self.canceled
            and device_id not in self.known.get(name, {})
        ]

    async def withdraw(
        self, tenant: Tenant, device_id: str, job: tuple[str, str], *, why: str
    ) -> None:
        self._check()
        ended = self.known.setdefault(f"{tenant.id}--{job[0]}-{job[1]}", {})
        ended.setdefault(device_id, Outcome(state=DeliveryState.CANCELED, at=0, reason=why))

    def _check(self) -> None:
        self.calls += 1
        if not self.available:
            raise UnavailableError("the jobs service")
