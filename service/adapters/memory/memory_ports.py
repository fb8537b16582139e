"""A whole world in memory: one twin for every port."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.adapters.memory.artifacts import MemoryArtifacts
from service.adapters.memory.audit import MemoryAuditLog
from service.adapters.memory.commands import MemoryCommandChannel, MemoryCommandRecords
from service.adapters.memory.devices import MemoryFleet
from service.adapters.memory.downloads import MemoryDownloadJobs, MemoryDownloadRecords
from service.adapters.memory.signing_keys import MemorySigningKeys
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.ports import Ports

if TYPE_CHECKING:
    from service.ports.authorizer import Authorizer


@dataclass(kw_only=True)
class MemoryWorld:
    """Every twin by name, to be filled and looked at; ``now`` is the clock's time, or ``None`` for the real one."""

    authorizer: Authorizer
    registry: MemoryTenantRegistry = field(default_factory=MemoryTenantRegistry)
    keys: MemorySigningKeys = field(default_factory=MemorySigningKeys)
    fleet: MemoryFleet = field(default_factory=MemoryFleet)
    commands: MemoryCommandRecords = field(default_factory=MemoryCommandRecords)
    channel: MemoryCommandChannel = field(default_factory=MemoryCommandChannel)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    downloads: MemoryDownloadRecords = field(default_factory=MemoryDownloadRecords)
    jobs: MemoryDownloadJobs = field(default_factory=MemoryDownloadJobs)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    now: datetime | None = None

    def ports(self) -> Ports:
        """The twins in their places."""
        return Ports(
            registry=self.registry,
            keys=self.keys,
            authorizer=self.authorizer,
            fleet=self.fleet,
            details=self.fleet,
            command_records=self.commands,
            channel=self.channel,
            artifacts=self.artifacts,
            download_records=self.downloads,
            jobs=self.jobs,
            audit=self.audit,
            clock=lambda: self.now or datetime.now(UTC),
        )
