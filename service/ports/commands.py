"""Commands as recorded, and their way to the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.commands import CommandRecord
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from service.domain.commands import (
        CommandFilter,
        CommandPage,
        DirectAnswer,
        RecordedCommand,
    )
    from service.domain.tenants import Tenant


class CommandRecords(OnceRecords[CommandRecord], Protocol):
    """Commands as recorded, beside what the devices reported.

    ``settle`` raises ``UpstreamError`` and changes nothing if the record as it stands may not
    become that (``CommandRecord.may_become``): somebody else found out more.
    """

    async def claim(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> bool:
        """Make the record ``publishing`` by ``now_ms`` if it is still as the caller read it.

        Args:
            tenant: whose record it is.
            record: as read; its ``may_be_claimed`` holds.
            now_ms: milliseconds since the epoch, later than its last claim.

        Returns:
            Whether it was: nobody else hands it over then.
        """
        ...

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> CommandRecord:
        """Store that its cancel was asked for; the first time counts.

        From then on nobody claims it.

        Returns:
            The record as it is now.
        """
        ...

    async def read(self, tenant: Tenant, command_id: str) -> RecordedCommand | None:
        """A record and its last states, or ``None``."""
        ...

    async def unanswered(
        self, tenant: Tenant, device_id: str, *, since_ms: int
    ) -> list[CommandRecord]:
        """Commands of a device, made since then, of which it reported nothing; the oldest first.

        Of a device that had more to say than anybody reads, the last ones.
        """
        ...


class ListedCommands(Protocol):
    """Commands in the order of their time."""

    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CommandFilter
    ) -> CommandPage:
        """Commands that fit, with what their devices reported, the newest first.

        One that a filter empties may have a cursor all the same: the work of a request is bounded.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...


class CommandBroker(Protocol):
    """The way to a device."""

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        """Hand the command to its device if that is connected, and wait a moment for its word.

        It is not kept for a device that is away.

        Raises:
            UpstreamError: not confirmed; it may have left all the same.
        """
        ...

    async def cancel(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """Hand the command's cancel to the broker, at least once, for as long as the command.

        Raises:
            UpstreamError: not confirmed; it may have left all the same.
        """
        ...

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """Hand the command to the broker, at least once; the broker drops it after its expiry.

        Raises:
            UpstreamError: not confirmed; it may have left all the same.
        """
        ...
