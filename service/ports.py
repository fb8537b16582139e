"""What the operations need of the world, in our own words; ``adapters.aws`` and ``adapters.memory`` both answer it.

Every method may raise ``UnavailableError`` when its part does not answer. A ``Tenant`` argument is always the verified
caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.commands import CommandRecord, RecordedCommand
    from service.domain.devices import Device, DeviceGroup, DevicePage
    from service.domain.downloads import Artifact, DownloadProgress, DownloadRecord
    from service.domain.identities import Principal
    from service.domain.records import AuditRecord, ReplayKey
    from service.domain.tenants import Tenant


class TenantRegistry(Protocol):
    """Which tenant a token's issuer belongs to."""

    async def find(self, issuer: str) -> Tenant | None:
        """The tenant of ``issuer``, or ``None``.

        Raises:
            ConfigurationError: the row is not of its form.
        """
        ...

    async def check(self) -> None:
        """Raise ``UnavailableError`` unless the registry answers."""
        ...


class SigningKeys(Protocol):
    """The public keys of a tenant's user pool."""

    async def find(self, tenant: Tenant, key_id: str) -> Any | None:
        """The RSA public key, or ``None`` if the pool has no such key."""
        ...


class Authorizer(Protocol):
    """The tenant's policies."""

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """What the tenant's policies say."""
        ...

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """What they say of each, in the same order."""
        ...


class Fleet(Protocol):
    """The tenant's devices and groups; both look-ups answer ``None`` for what the tenant does not have."""

    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> DevicePage:
        """Devices with connectivity.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def device(self, tenant: Tenant, device_id: str) -> Device | None:
        """One device, without connectivity."""
        ...

    async def group(self, tenant: Tenant, group_id: str) -> DeviceGroup | None:
        """One group."""
        ...


class FleetDetails(Protocol):
    """What is looked up or changed of a device or group that was found."""

    async def members(self, tenant: Tenant, group: DeviceGroup, *, limit: int) -> tuple[str, ...]:
        """Ids of the devices of a group and of its groups; at most ``limit`` + 1, so that too many can be told.

        A thing of the tenant whose name is no device's is left out: whoever acts on the members acts on these alone.
        """
        ...

    async def connectivity(self, tenant: Tenant, device: Device) -> Device:
        """The device with its connectivity."""
        ...

    async def set_attributes(
        self, tenant: Tenant, device: Device, changes: Mapping[str, str | None]
    ) -> None:
        """Set attributes, or remove those that are ``None``.

        Raises:
            ConflictError: someone else changed the device meanwhile.
        """
        ...


class CommandRecords(Protocol):
    """Commands as recorded, beside what the devices reported."""

    async def create(
        self, tenant: Tenant, record: CommandRecord, replay: ReplayKey | None
    ) -> CommandRecord:
        """Store a new record, durably; answer it, or the earlier one that was made with the same key.

        Raises:
            ReplayMismatchError: the key stands for another request.
        """
        ...

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        """Store the record's state and failure."""
        ...

    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        """A record and its last states, or ``None``."""
        ...


class CommandChannel(Protocol):
    """The way to a device."""

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """Hand the command to the broker, at least once; the broker drops it after its expiry.

        Raises:
            UpstreamError: not confirmed; it may have left all the same.
        """
        ...


class Artifacts(Protocol):
    """The tenant's files."""

    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        """A file, or ``None``."""
        ...


class DownloadRecords(Protocol):
    """Downloads as recorded."""

    async def create(
        self, tenant: Tenant, record: DownloadRecord, replay: ReplayKey | None
    ) -> DownloadRecord:
        """As ``CommandRecords.create``."""
        ...

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        """Store the record's state and failure."""
        ...

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """A record, or ``None``."""
        ...


class DownloadJobs(Protocol):
    """Durable delivery of a file to each device of a target."""

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:
        """Create the job; a job that exists already is fine.

        Raises:
            UpstreamError: not created, or not confirmed.
        """
        ...

    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        """How far the devices came, or ``None`` if there is no such job.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...


class AuditLog(Protocol):
    """The tenant's trail of decisions."""

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        """Store a record, durably."""
        ...


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
