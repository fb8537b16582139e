"""Give a device that lost its session the commands that still wait for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.domain.commands import CommandRecordState, IfOffline
from service.domain.instants import milliseconds
from service.domain.work import UnreadableWorkError
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.domain.commands import CommandRecord
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.ports.commands import CommandBroker, CommandRecords

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
# `failed` was told to the caller, and stays so; `created` has not left, and only who asked for it
# sends it; what was received the device has.
_WAITING: Final = frozenset(
    {
        CommandRecordState.PUBLISHING,
        CommandRecordState.UNCONFIRMED,
        CommandRecordState.PUBLISHED,
    }
)


@dataclass(frozen=True, kw_only=True)
class Redelivery:
    """Publishes again, to a device that has just subscribed, what has not reached it.

    The broker discards what it queued when a session lapses or ends (source: AWS IoT Core quotas,
    "Persistent session expiry period"), and a device subscribes only where it finds no session. As
    it does so AWS says so, always after the subscription stands (AWS IoT developer guide,
    "Lifecycle events", Subscribe/Unsubscribe events): what is published then reaches it. Twice is
    as good as once, since a device runs a command's id once.

    Attributes:
        came: is told afterwards that the device has come.
    """

    records: CommandRecords
    broker: CommandBroker
    clock: Clock
    came: Callable[[Tenant, str], Awaitable[None]] | None = None

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Redeliver to the thing that the work is about.

        Raises:
            UnreadableWorkError: the work names no thing of the tenant.
            UpstreamError: as ``redeliver``.
        """
        try:
            owner, device_id = wire.split_thing_name(work.about.get("thing", ""))
        except wire.WireError as error:
            raise UnreadableWorkError("the work names no thing") from error
        if owner != tenant.id:  # fail closed
            raise UnreadableWorkError(f"the thing is not of tenant `{tenant.id}`")
        await self.redeliver(tenant, device_id)
        if self.came is not None:
            await self.came(tenant, device_id)

    async def redeliver(self, tenant: Tenant, device_id: str) -> int:
        """Publish the device's unexpired commands of which it said nothing, the oldest first.

        Of one that was canceled its cancel, which the device then confirms.

        Returns:
            How many.

        Raises:
            UpstreamError: not all are published; to be tried again as a whole.
        """
        now = milliseconds(self.clock())
        since = now - wire.SESSION_EXPIRY_SECONDS * 1000  # no command waits longer
        found = await self.records.unanswered(tenant, device_id, since_ms=since)
        waiting = [record for record in found if _waits(record, now)]
        count = 0
        for record in waiting:
            count += await self._publish(tenant, record, now)
        if count:
            log.info("commands.redelivered", thing=waiting[0].thing, count=count)
        return count

    async def _publish(self, tenant: Tenant, record: CommandRecord, now: int) -> bool:
        """Publish it, unless somebody else is about to."""
        if record.canceled_at is not None:
            # It may have the command all the same, or get it yet.
            await self.broker.cancel(tenant, record, now_ms=now)
            return True
        # Claimed first: whoever was cut off in it must not call it failed once it has left.
        if record.state is CommandRecordState.PUBLISHING:
            if not await self.records.claim(tenant, record, now_ms=now):
                return False
            record = replace(record, claimed_at=now)
        await self.broker.publish(tenant, record, now_ms=now)
        if record.state is not CommandRecordState.PUBLISHED:
            published = replace(record, state=CommandRecordState.PUBLISHED, failure=None)
            try:
                await self.records.settle(tenant, published)
            except UpstreamError:  # or somebody else knows more of it by now
                log.warning("command.settle_failed", command_id=record.command_id)
        return True


def _waits(record: CommandRecord, now_ms: int) -> bool:
    return (
        record.state in _WAITING
        and (
            record.canceled_at is not None
            or record.state is not CommandRecordState.PUBLISHING
            or record.may_be_claimed(now_ms)
        )
        and record.if_offline is IfOffline.QUEUE
        and now_ms < record.expires_at
    )
