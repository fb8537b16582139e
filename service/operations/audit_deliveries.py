"""The worker's part of the audit trail that tells how downloads ended on their devices.

Each look at a download (`rollout`) finds ends that the trail does not tell of, and sends a message
for each of their jobs; one entry then tells of all such devices of the job, at most 100. An entry
each would be 10,000 writes to one partition of a day, in which people's decisions must find room
(it takes 1,000 units a second; source: DynamoDB developer guide, "Best practices for designing and
using partition keys effectively"). What a device says in words is left out: it may be anything, and
nothing leaves the trail.

An end is written at least once: a worker that dies behind the entry writes it again, as another
entry of the same words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.cedar.entities import DEVICE, DEVICE_GROUP
from service.cedar.values import EntityUid
from service.domain.audit_entries import VERSION, Entry
from service.domain.downloads import DeliveryState, TargetKind
from service.domain.instants import milliseconds, new_ulid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.downloads import DownloadRecord, Outcome
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.operations.audit_trail import AuditTrail
    from service.ports.audit import AuditEntries
    from service.ports.downloads import Deliveries, DownloadRecords

_BY_DEVICE: Final = frozenset(
    {DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.REJECTED}
)
"""Ends that a device tells itself (source: IoT Jobs data plane API reference,
UpdateJobExecution); the others are the service's."""


@dataclass(frozen=True, kw_only=True)
class AuditDeliveries:
    """Writes down the ends of one job at a time."""

    entries: AuditEntries
    records: DownloadRecords
    deliveries: Deliveries
    trail: AuditTrail
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Write down how a download ended on devices of a job of which the trail does not tell.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        record = await self.records.read(tenant, work.about["download"])
        if record is None:
            return
        attempts = await self.deliveries.attempts(tenant, record, int(work.about["job"]))
        tried: Counter[str] = Counter()
        for job, outcomes in attempts:
            tried.update(job.members)
            fresh = {
                device: outcome
                for device, outcome in sorted(outcomes.items())
                if outcome.mark(device) not in job.audited
            }
            if not fresh:
                continue
            at = milliseconds(self.clock())
            document = _document(tenant, record, fresh, at, tried=tried)
            await self.entries.keep(tenant, Entry.of(document))
            await self.trail.tell(tenant)
            await self.deliveries.audited(tenant, record, job, fresh)


def _document(
    tenant: Tenant,
    record: DownloadRecord,
    outcomes: Mapping[str, Outcome],
    at: int,
    *,
    tried: Mapping[str, int],
) -> dict[str, Any]:
    """The entry of these ends: ``outcome.devices`` has one member for each device.

    Args:
        tenant: whose they are.
        record: of the download.
        outcomes: of these devices.
        at: now, in milliseconds since the epoch.
        tried: which attempt of each device it was.
    """
    kind = DEVICE if record.target_kind is TargetKind.DEVICE else DEVICE_GROUP
    about = {
        "download": record.download_id,
        "decision": record.decision,
        # Its decision names the wish, and no download: there are many.
        "wish": record.wish,
    }
    return {
        "version": VERSION,
        "kind": "outcome",
        "id": new_ulid(at),
        "at": at,
        "tenant": tenant.id,
        "who": f"devices of download {record.download_id}",
        "resource": str(EntityUid(kind, record.target)),
        "subject": record.artifact,
        "about": {name: value for name, value in about.items() if value is not None},
        "outcome": {
            "devices": {
                device: {
                    "state": str(one.state),
                    "at": one.at,
                    "told_by": "device" if one.state in _BY_DEVICE else "service",
                    **({"attempt": tried[device]} if tried[device] > 1 else {}),
                }
                for device, one in outcomes.items()
            }
        },
    }
