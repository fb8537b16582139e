"""Commands as recorded, and their way to the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.commands import CommandRecord, RecordedCommand
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


class CommandRecords(Protocol):
    """Commands as recorded, beside what the devices reported."""

    async def create(
        self, tenant: Tenant, record: CommandRecord, key: IdempotencyKey | None
    ) -> CommandRecord:
        """Store a new record, durably; answer it, or the earlier one that was made with the same key.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
        """
        ...

    async def settle(self, tenant: Tenant, record: CommandRecord) -> None:
        """Store the record's state and failure."""
        ...

    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        """A record and its last states, or ``None``."""
        ...


class CommandBroker(Protocol):
    """The way to a device."""

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """Hand the command to the broker, at least once; the broker drops it after its expiry.

        Raises:
            UpstreamError: not confirmed; it may have left all the same.
        """
        ...
