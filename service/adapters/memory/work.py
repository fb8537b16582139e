"""Twins of everything that commands and downloads leave behind: records, broker, bucket, jobs and audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from service.domain.commands import MAX_STATES, CommandRecord, RecordedCommand, ReportedState
from service.domain.downloads import Artifact, DeliveryState, DownloadProgress, DownloadRecord
from service.errors import ReplayMismatchError, UnavailableError

if TYPE_CHECKING:
    from service.domain.records import AuditRecord, ReplayKey
    from service.domain.tenants import Tenant

R = TypeVar("R", CommandRecord, DownloadRecord)


@dataclass(kw_only=True)
class _Once(Generic[R]):
    """Records by tenant and id, and the idempotency keys that made them."""

    records: dict[tuple[str, str], R] = field(default_factory=dict[tuple[str, str], R])
    replays: dict[tuple[str, str], tuple[str, str]] = field(
        default_factory=dict[tuple[str, str], tuple[str, str]]
    )

    def create(self, record: R, made: str, replay: ReplayKey | None) -> R:
        if replay is not None:
            request, earlier = self.replays.setdefault(
                (replay.tenant, replay.digest), (replay.request_digest, made)
            )
            if request != replay.request_digest:
                raise ReplayMismatchError
            if earlier != made:
                return self.records[record.tenant, earlier]
        self.records[record.tenant, made] = record
        return record


@dataclass(kw_only=True)
class MemoryCommandRecords:
    """Commands; ``states`` is what the IoT rule would have written, by command id.

    ``can_settle = False`` makes storing a record's state fail.
    """

    once: _Once[CommandRecord] = field(default_factory=_Once[CommandRecord])
    states: dict[str, list[ReportedState]] = field(default_factory=dict[str, list[ReportedState]])
    can_settle: bool = True

    async def create(
        self,
        tenant: Tenant,  # noqa: ARG002 - one memory for all
        record: CommandRecord,
        replay: ReplayKey | None,
    ) -> CommandRecord:
        """See ``ports.CommandRecords``."""
        return self.once.create(record, record.command_id, replay)

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        """See ``ports.CommandRecords``."""
        if not self.can_settle:
            raise UnavailableError("the commands table")
        self.once.records[tenant.id, record.command_id] = record

    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        """See ``ports.CommandRecords``."""
        record = self.once.records.get((tenant.id, command_id))
        if record is None:
            return None
        states = sorted(self.states.get(command_id, ()), key=lambda state: state.sequence)
        return RecordedCommand(
            record=record,
            states=tuple(states[-MAX_STATES:]),
            earlier_left_out=len(states) > MAX_STATES,
        )


@dataclass(kw_only=True)
class MemoryCommandChannel:
    """What was published; ``available = False`` makes it fail."""

    published: list[CommandRecord] = field(default_factory=list[CommandRecord])
    available: bool = True

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:  # noqa: ARG002 - the port's signature
        """See ``ports.CommandChannel``."""
        if not self.available:
            raise UnavailableError("the device broker")
        self.published.append(record)


@dataclass(kw_only=True)
class MemoryArtifacts:
    """Files by tenant and name."""

    files: dict[tuple[str, str], Artifact] = field(default_factory=dict[tuple[str, str], Artifact])

    def add(self, artifact: Artifact) -> None:
        """Put a file into its tenant's bucket."""
        self.files[artifact.tenant, artifact.name] = artifact

    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        """See ``ports.Artifacts``."""
        return self.files.get((tenant.id, name))


@dataclass(kw_only=True)
class MemoryDownloadRecords:
    """Downloads; ``can_settle = False`` makes storing a record's state fail."""

    once: _Once[DownloadRecord] = field(default_factory=_Once[DownloadRecord])
    can_settle: bool = True

    async def create(
        self,
        tenant: Tenant,  # noqa: ARG002 - one memory for all
        record: DownloadRecord,
        replay: ReplayKey | None,
    ) -> DownloadRecord:
        """See ``ports.DownloadRecords``."""
        return self.once.create(record, record.download_id, replay)

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        """See ``ports.DownloadRecords``."""
        if not self.can_settle:
            raise UnavailableError("the commands table")
        self.once.records[tenant.id, record.download_id] = record

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """See ``ports.DownloadRecords``."""
        return self.once.records.get((tenant.id, download_id))


@dataclass(kw_only=True)
class MemoryDownloadJobs:
    """Jobs by id; ``available = False`` makes starting fail; ``progress_of`` is what the devices would report."""

    started: dict[str, DownloadRecord] = field(default_factory=dict[str, DownloadRecord])
    progress_of: dict[str, DownloadProgress] = field(default_factory=dict[str, DownloadProgress])
    available: bool = True

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:  # noqa: ARG002 - the port's signature
        """See ``ports.DownloadJobs``."""
        if not self.available:
            raise UnavailableError("the jobs service")
        self.started[record.job_id] = record

    async def progress(
        self,
        tenant: Tenant,  # noqa: ARG002 - the port's signature
        record: DownloadRecord,
        *,
        limit: int,  # noqa: ARG002 - the port's signature
        cursor: str | None,  # noqa: ARG002 - the port's signature
    ) -> DownloadProgress | None:
        """See ``ports.DownloadJobs``."""
        if record.job_id not in self.started:
            return None
        return self.progress_of.get(record.job_id, DownloadProgress(state=DeliveryState.QUEUED))


@dataclass(kw_only=True)
class MemoryAuditLog:
    """The trail, in order; ``available = False`` makes it fail."""

    trail: list[AuditRecord] = field(default_factory=list["AuditRecord"])
    available: bool = True

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:  # noqa: ARG002 - the port's signature
        """See ``ports.AuditLog``."""
        if not self.available:
            raise UnavailableError("the audit trail")
        self.trail.append(record)
