"""A download: which file goes to which device or group, and how far each device came."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class TargetKind(StrEnum):
    """Whom a download addresses."""

    DEVICE = "device"
    GROUP = "group"


class DownloadRecordState(StrEnum):
    """How far the service itself came."""

    CREATED = "created"
    STARTED = "started"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class DownloadRecord:
    """What the service wrote down before it created the job.

    Attributes:
        created_at: milliseconds since the epoch.
        members: the devices of a group as it was decided on; the job is for these alone. Empty: for
            all devices of the tenant as they are when the job starts.
        version: S3's id of the version that devices get; ``None`` in a bucket without versions.
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
    members: tuple[str, ...] = ()
    version: str | None = None

    @property
    def job_id(self) -> str:
        """The IoT Job; the tenant's prefix confines it in IAM."""
        return f"{self.tenant}--{self.download_id}"


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
    CANCELED = "canceled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One device's part; times are milliseconds since the epoch.

    Attributes:
        detail: what the device said of it, e.g. progress or the reason of a failure.
        attempt: counted up by IoT Jobs, from 1.
    """

    device: str
    state: DeliveryState
    detail: Mapping[str, str] = field(default_factory=dict[str, str])
    queued_at: int | None = None
    started_at: int | None = None
    updated_at: int | None = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class DownloadProgress:
    """The job's own account.

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


def whole_state(job_status: str, counts: Mapping[DeliveryState, int]) -> DeliveryState:
    """The state of the whole download.

    IoT Jobs calls a job ``COMPLETED`` once every execution ended, also when every one failed; we do
    not.

    Args:
        job_status: ``DescribeJob``'s ``status``.
        counts: ended and open executions by state.
    """
    if job_status == "CANCELED":
        return DeliveryState.CANCELED
    if job_status == "SCHEDULED":
        return DeliveryState.QUEUED
    open_ones = counts.get(DeliveryState.QUEUED, 0) + counts.get(DeliveryState.IN_PROGRESS, 0)
    if job_status != "COMPLETED" and (open_ones or not counts):
        started = sum(counts.values()) > counts.get(DeliveryState.QUEUED, 0)
        return DeliveryState.IN_PROGRESS if started else DeliveryState.QUEUED
    succeeded = counts.get(DeliveryState.SUCCEEDED, 0)
    if succeeded == sum(counts.values()):
        return DeliveryState.SUCCEEDED if succeeded else DeliveryState.UNKNOWN
    return DeliveryState.PARTLY_FAILED if succeeded else DeliveryState.FAILED
