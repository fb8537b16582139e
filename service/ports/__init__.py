"""What the operations need of the world, in our own words; each file of ``adapters`` answers one.

Every method may raise ``UnavailableError`` when its part does not answer. A ``Tenant`` argument is
always the verified caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from service.ports.artifacts import Artifacts
    from service.ports.audit import AuditLog
    from service.ports.authorizer import Authorizer
    from service.ports.commands import CommandChannel, CommandRecords
    from service.ports.devices import Fleet, FleetDetails
    from service.ports.downloads import DownloadJobs, DownloadRecords
    from service.ports.signing_keys import SigningKeys
    from service.ports.tenants import TenantRegistry


@dataclass(frozen=True, kw_only=True)
class Ports:
    """One answer to every port."""

    registry: TenantRegistry
    keys: SigningKeys
    authorizer: Authorizer
    fleet: Fleet
    details: FleetDetails
    command_records: CommandRecords
    channel: CommandChannel
    artifacts: Artifacts
    download_records: DownloadRecords
    jobs: DownloadJobs
    audit: AuditLog
    clock: Callable[[], datetime]
