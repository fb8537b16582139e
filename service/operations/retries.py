"""The worker's part of a rollout that tries devices again which failed, or timed out.

Why not IoT Jobs' own retries: ``jobExecutionsRetryConfig`` takes a kind of failure and a number,
ten at most (source: IoT API reference, "RetryCriteria"), and no time: no pause or window would hold
them, and nothing would be decided again (docs/adr/0052).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.domain.attempts import next_round
from service.domain.downloads import DownloadRecordState
from service.domain.instants import milliseconds

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.operations.rollout import Rollout

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Retries:
    """Makes the next round of a job; done twice is as good as once."""

    rollout: Rollout

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Make the round that is due of a job, unless the download is closed or held.

        A round is written down before it is made, on the condition that there is none of its
        number: whoever dies between the two leaves it to a later look, and of two one is first.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        rollout = self.rollout
        record = await rollout.records.read(tenant, work.about["download"])
        if record is None or record.state is DownloadRecordState.FAILED:
            return
        attempts = await rollout.deliveries.attempts(tenant, record, int(work.about["job"]))
        # Fail closed: what is closed, paused or out of its window tries nobody again.
        if not attempts or record.closing is not None or record.rollout is None:
            return
        if not rollout.may_make(record, attempts[0][0]):
            return
        job = next_round(record, attempts, now_ms=milliseconds(rollout.clock()))
        if job is None:
            return
        known = any(one.round == job.round for one, _ in attempts)
        if not known and not await rollout.deliveries.retry(tenant, record, job):
            return  # somebody else was first, and makes it; else a later look does
        log.info("job.retried", job=job.id_in(record), devices=len(job.members))
        await rollout.make(tenant, work, record, job)
