"""The worker's part of a retirement: what still waited for the device is ended, and says why.

Its commands need nothing: their state is told by the device's end (``domain.commands.status_of``).
A job may be being made for the device while it is retired, so it is looked at twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.downloads import DeliveryState, Outcome
from service.domain.instants import milliseconds
from service.domain.work import Work, WorkKind
from service.operations.budgets import turn_of_jobs
from service.operations.wave_decisions import RETIRED

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries, DownloadJobs, DownloadRecords
    from service.ports.work import WorkQueue
    from service.settings import JobSettings

AGAIN_SECONDS: Final = 900
"""Between both looks: longer than anybody who read the device before goes on making a job for it,
and the longest that SQS keeps a message back (its API reference, SendMessage, DelaySeconds)."""
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def settling_retired(tenant: Tenant, device_id: str, *, look: int = 1) -> Work:
    """What the worker is told of a device that was retired."""
    return Work(
        kind=WorkKind.SETTLE_RETIRED,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"device": device_id, "look": str(look)},
    )


@dataclass(frozen=True, kw_only=True)
class RetiredDevices:
    """Ends what waits for devices that were retired; done twice is as good as once."""

    devices: DeviceFacts
    records: DownloadRecords
    deliveries: Deliveries
    jobs: DownloadJobs
    pace: Pace
    queue: WorkQueue
    clock: Clock
    settings: JobSettings

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """End each job that waits for the device, or that it is at.

        Raises:
            UpstreamError: not all is ended, or not confirmed; the message comes again.
        """
        device_id = work.about["device"]
        device = await self.devices.find(tenant, device_id)
        # Fail closed: only what stands in the rows ends anything.
        if device is None or device.retired_at is None:
            return
        if work.about["look"] == "1":
            again = settling_retired(tenant, device_id, look=2)
            await self.queue.send([again], delay_seconds=AGAIN_SECONDS)
        await turn_of_jobs(self.pace, self.settings)
        waiting = await self.jobs.waiting(tenant, device_id)
        for job in waiting:
            # Told first: whoever dies behind the call finds nothing that waits any more.
            await self._tell(tenant, device_id, job)
            await turn_of_jobs(self.pace, self.settings)
            await self.jobs.withdraw(tenant, device_id, job, why=RETIRED)
        log.info("device.settled", thing=device.thing, jobs=len(waiting))

    async def _tell(self, tenant: Tenant, device_id: str, job: tuple[str, str]) -> None:
        """Write down that it ends; the event of IoT Jobs may never come, and counts if it does."""
        download_id, mark = job
        record = await self.records.read(tenant, download_id)
        if record is None:
            return
        attempts = await self.deliveries.attempts(tenant, record, int(mark[:2]))
        found = next((one for one, _ in attempts if one.mark == mark), None)
        if found is None:
            return
        end = Outcome(state=DeliveryState.CANCELED, at=milliseconds(self.clock()), reason=RETIRED)
        await self.deliveries.tell(tenant, record, found, {device_id: end})
