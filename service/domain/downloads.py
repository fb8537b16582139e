"""A download: which file goes to which devices, in which jobs, and how far each device came."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.domain.rollouts import wave_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cedarfleet_device.wire import Signed

    from service.domain.rollouts import PlannedRollout

MAX_MEMBERS: Final = 10_000
"""Devices of one download."""
JOB_MEMBERS: Final = 100
"""Devices of one job (source: AWS IoT Device Management, "endpoints and quotas", job targets)."""
_MINUTE_MS: Final = 60_000
# A download that half of at least ten devices failed is stopped before it reaches the rest.
_ENOUGH_ENDED: Final = 10


class TargetKind(StrEnum):
    """Whom a download addresses."""

    DEVICE = "device"
    GROUP = "group"
    SELECTION = "selection"
    """What a filter found, or devices by name, of a plan; what is done to the whole is decided on
    the group that it was selected in."""


class DownloadRecordState(StrEnum):
    """How far the service itself came."""

    CREATED = "created"
    STARTED = "started"
    FAILED = "failed"


class Closing(StrEnum):
    """Why no further job of a download is made."""

    ENDED = "ended"
    """Each device has ended."""
    STOPPED = "stopped"
    """Too many devices failed; what had not begun was canceled."""
    EXPIRED = "expired"
    """Its time was over; what had not begun was canceled."""
    CANCELED = "canceled"
    """Somebody asked for it; what had not begun is canceled."""


class DeliveryState(StrEnum):
    """Where one device, or the download as a whole, stands."""

    CREATED = "created"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    PARTLY_FAILED = "partly_failed"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    REMOVED = "removed"
    CANCELING = "canceling"
    """To be canceled, which the worker has not done yet; of a whole: some are not, or are at it."""
    CANCELED = "canceled"
    UNKNOWN = "unknown"
    AWAITING_APPROVAL = "awaiting_approval"
    """Of a whole: nothing begins before a second person has approved."""
    PAUSED = "paused"
    """Of a whole: no job is made until it is resumed; devices that have theirs go on."""


OUTCOMES: Final = frozenset(
    {
        DeliveryState.SUCCEEDED,
        DeliveryState.FAILED,
        DeliveryState.REJECTED,
        DeliveryState.TIMED_OUT,
        DeliveryState.REMOVED,
        DeliveryState.CANCELED,
    }
)
"""States of one device that do not change any more."""
TRIED_AGAIN: Final = frozenset({DeliveryState.FAILED, DeliveryState.TIMED_OUT})
"""After which a plan may have a device tried again; what it rejects, it rejects again."""
_FAILURES: Final = (DeliveryState.FAILED, DeliveryState.TIMED_OUT, DeliveryState.REJECTED)


@dataclass(frozen=True, kw_only=True)
class DownloadRecord:
    """What the service wrote down, and what the worker found when it last looked.

    Attributes:
        created_at: milliseconds since the epoch.
        devices: how many it is for.
        version: S3's id of the version that devices get; ``None`` in a bucket without versions.
        manifest: what the file's maker says and signs of it; ``None``: nothing.
        begun_at: when the worker first looked; ``None``: it has not yet.
        counts: ended devices by state, when the worker last looked.
        file_id: of the uploaded version that devices get; ``None``: of the bucket's own file.
        settled_at: when the worker last asked IoT Jobs for what events did not tell.
        rollout: what was planned; ``None``: it was not planned.
        paused_at: since when it is paused; ``None``: it is not.
        approved_by: entity id of the second person, if there is one.
        approver_groups: that the second person was in when they approved; ``None``: nobody did, or
            an earlier release took it down.
        waves_at: when each wave began, by its number.
        why: it was closed, in words, where somebody has to know.
        wish: id of the wanted version that it is a batch of; ``None``: it was asked for by itself.
        decision: id in the audit trail of the decision that let it begin; ``None``: it is a wish's,
            or of an earlier release.
        told: words of the events that told of it (``operations.rollout_events``).
    """

    download_id: str
    tenant: str
    target_kind: TargetKind
    target: str
    artifact: str
    size: int
    sha256: str
    etag: str
    created_by: str
    created_at: int
    state: DownloadRecordState = DownloadRecordState.CREATED
    failure: str | None = None
    emergency_reason: str | None = None
    devices: int = 1
    version: str | None = None
    manifest: Signed | None = None
    file_id: str | None = None
    begun_at: int | None = None
    closing: Closing | None = None
    counts: Mapping[DeliveryState, int] = field(default_factory=dict[DeliveryState, int])
    settled_at: int | None = None
    rollout: PlannedRollout | None = None
    paused_at: int | None = None
    approved_by: str | None = None
    approver_groups: tuple[str, ...] | None = None
    waves_at: Mapping[int, int] = field(default_factory=dict[int, int])
    why: str | None = None
    wish: str | None = None
    decision: str | None = None
    told: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """In the whole account; the tenant's prefix confines it in IAM."""
        return f"{self.tenant}--{self.download_id}"

    @property
    def jobs(self) -> int:
        """How many jobs it is made of; none: it is of an earlier release, which made one itself."""
        return sum(-(-size // JOB_MEMBERS) for size in self.waves)

    @property
    def waves(self) -> tuple[int, ...]:
        """Devices of each wave; what was not planned is one wave."""
        return (self.devices,) if self.rollout is None else self.rollout.waves

    @property
    def awaits_approval(self) -> bool:
        """Whether nothing of it may begin before a second person has approved."""
        return self.rollout is not None and self.rollout.needs_approval and self.approved_by is None

    @property
    def is_held(self) -> bool:
        """Whether no job of it may be made for now."""
        return self.awaits_approval or self.paused_at is not None

    def wave_of(self, job: int) -> int:
        """The wave that a job belongs to, from 0."""
        return wave_of(job, self.waves, job_members=JOB_MEMBERS)[0]

    def jobs_of_wave(self, wave: int) -> range:
        """Numbers of the jobs of a wave."""
        first = sum(-(-size // JOB_MEMBERS) for size in self.waves[:wave])
        return range(first, first + -(-self.waves[wave] // JOB_MEMBERS))

    def members_of(self, job: int) -> int:
        """How many devices a job is for."""
        wave, number = wave_of(job, self.waves, job_members=JOB_MEMBERS)
        return min(JOB_MEMBERS, self.waves[wave] - number * JOB_MEMBERS)

    def due_at(self, job: int, *, devices_per_minute: int) -> int | None:
        """From when on a job may be made, in milliseconds since the epoch; ``None``: not yet."""
        wave, number = wave_of(job, self.waves, job_members=JOB_MEMBERS)
        began = (self.begun_at or 0) if self.rollout is None else self.waves_at.get(wave)
        if began is None:
            return None
        return began + number * JOB_MEMBERS * _MINUTE_MS // devices_per_minute


@dataclass(frozen=True, kw_only=True)
class DownloadFilter:
    """Which downloads a list shows; ``None`` asks nothing.

    Attributes:
        reaching: a device that they may have reached: those to it, and those to many.
    """

    device: str | None = None
    group: str | None = None
    artifact: str | None = None
    reaching: str | None = None

    def shows(self, target_kind: TargetKind, target: str, artifact: str) -> bool:
        """Whether a download of this file to this target is shown."""
        to_device = target_kind is TargetKind.DEVICE
        return (
            (self.device is None or (to_device and target == self.device))
            and (self.group is None or (target_kind is TargetKind.GROUP and target == self.group))
            and (self.reaching is None or not to_device or target == self.reaching)
            and self.artifact in (None, artifact)
        )


EVERY_DOWNLOAD: Final = DownloadFilter()


@dataclass(frozen=True, kw_only=True)
class DownloadPage:
    """Downloads, the newest first; ``cursor`` asks for the next page, if there may be one."""

    records: tuple[DownloadRecord, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class DeliveryJob:
    """One of a download's jobs, or a round of it: some of its devices, which are tried again.

    Attributes:
        number: from 0.
        round: 0: the job itself; from 1 on: of those that are tried again.
        members: ids of its devices, at most ``JOB_MEMBERS``; the job is for these alone.
        made_at: milliseconds since the epoch; ``None``: not made yet.
        decided_at: when the policies were last asked, of a download that was planned; from then on
            it may have been made.
        canceled_at: when whoever had not begun was canceled; ``None``: not, or it was made since.
        audited: the ends that the audit trail tells of, as ``Outcome.mark`` has them.
    """

    number: int
    members: tuple[str, ...]
    made_at: int | None = None
    canceled_at: int | None = None
    decided_at: int | None = None
    audited: frozenset[str] = frozenset()
    round: int = 0

    @property
    def mark(self) -> str:
        """Its name in the download: ``07``, or ``07r01``."""
        return f"{self.number:02}" + (f"r{self.round:02}" if self.round else "")

    def id_in(self, record: DownloadRecord) -> str:
        """Its id in IoT Jobs, at most 60 of the 64 characters that AWS allows."""
        return f"{record.name}-{self.mark}"


def jobs_of(members: Sequence[str], waves: Sequence[int] | None = None) -> Iterator[DeliveryJob]:
    """The jobs of a download for these devices; each belongs to one of its waves."""
    number, first = 0, 0
    for size in (len(members),) if waves is None else waves:
        wave = members[first : first + size]
        for start in range(0, len(wave), JOB_MEMBERS):
            yield DeliveryJob(number=number, members=tuple(wave[start : start + JOB_MEMBERS]))
            number += 1
        first += size


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it ended on one device.

    Attributes:
        state: one of ``OUTCOMES``.
        at: milliseconds since the epoch.
        reason: what the device said, if it said something.
    """

    state: DeliveryState
    at: int
    reason: str | None = None

    def mark(self, device: str) -> str:
        """The words of a device and its end; another end of the same device has others."""
        return f"{device} {self.state}"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One device's part; times are milliseconds since the epoch.

    Attributes:
        detail: what the device said of it, e.g. the reason of a failure.
        queued_at: when its job was made.
        updated_at: when it ended.
    """

    device: str
    state: DeliveryState
    detail: Mapping[str, str] = field(default_factory=dict[str, str])
    queued_at: int | None = None
    updated_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class DownloadProgress:
    """How far a download came.

    Attributes:
        state: of the whole.
        counts: devices by their state.
        deliveries: one page of devices.
        cursor: asks for the next page.
    """

    state: DeliveryState
    counts: Mapping[DeliveryState, int] = field(default_factory=dict[DeliveryState, int])
    deliveries: tuple[Delivery, ...] = ()
    cursor: str | None = None


def counted(record: DownloadRecord, known: Mapping[DeliveryState, int]) -> dict[DeliveryState, int]:
    """Devices by state: those that are known, and the others as ``queued`` or ``created``."""
    counts = Counter({state: count for state, count in known.items() if count})
    if (rest := record.devices - sum(counts.values())) > 0:
        counts[_waiting(record)] += rest
    return dict(counts)


def _waiting(record: DownloadRecord) -> DeliveryState:
    """The state of what has not ended, as far as the record says."""
    if record.closing is Closing.CANCELED:
        return DeliveryState.CANCELING
    begun = record.rollout is None or bool(record.waves_at)
    created = record.state is DownloadRecordState.CREATED or not begun
    return DeliveryState.CREATED if created else DeliveryState.QUEUED


def whole_state(record: DownloadRecord, counts: Mapping[DeliveryState, int]) -> DeliveryState:
    """The state of the whole download, of devices by their states.

    IoT Jobs calls a job completed once every execution ended, also when every one failed; we do
    not.
    """
    if record.state is DownloadRecordState.FAILED:
        return DeliveryState.FAILED
    if record.jobs == 0:
        return DeliveryState.UNKNOWN
    if record.closing in {Closing.STOPPED, Closing.EXPIRED}:
        return DeliveryState.CANCELED
    ended = {state: count for state, count in counts.items() if state in OUTCOMES}
    # Who failed may be tried again, until the worker has closed it.
    retries = record.rollout.shape.retries if record.rollout and record.closing is None else 0
    if sum(ended.values()) < record.devices or (retries and TRIED_AGAIN & ended.keys()):
        return _open_state(record, begun=bool(ended))
    # If it reached nobody, all had ended before, and their states say how.
    was_canceled = record.closing is Closing.CANCELED and DeliveryState.CANCELED in ended
    if was_canceled or len(ended) == 1:
        # Of one device it says the most: rejected, timed out, canceled.
        return DeliveryState.CANCELED if was_canceled else next(iter(ended))
    return DeliveryState.PARTLY_FAILED if DeliveryState.SUCCEEDED in ended else DeliveryState.FAILED


def _open_state(record: DownloadRecord, *, begun: bool) -> DeliveryState:
    """The state of a download of which not all devices have ended."""
    if record.closing is None and record.awaits_approval:
        return DeliveryState.AWAITING_APPROVAL
    if record.closing is None and record.paused_at is not None:
        return DeliveryState.PAUSED
    waiting = _waiting(record)
    begun = begun and waiting is not DeliveryState.CANCELING
    return DeliveryState.IN_PROGRESS if begun else waiting


def is_failing(record: DownloadRecord, counts: Mapping[DeliveryState, int]) -> bool:
    """Whether so many of the devices that ended have failed that the others shall not begin."""
    if record.wish is not None:
        return False  # the wish counts over all of its batches
    ended = sum(count for state, count in counts.items() if state in OUTCOMES)
    if record.rollout is not None:
        return record.rollout.shape.is_failing(
            ended=ended,
            failed=sum(counts.get(state, 0) for state in _FAILURES),
            begun=sum(record.waves[wave] for wave in record.waves_at),
        )
    return ended >= _ENOUGH_ENDED and 2 * counts.get(DeliveryState.FAILED, 0) >= ended
