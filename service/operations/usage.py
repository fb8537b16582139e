"""What a tenant used: the worker counts each day once it is over, and managers read the days.

No request writes anything for it: a day is counted from the audit trail, the rows of files and of
devices. A timer asks for it minutes after the day's end, when the devices' rows still tell who was
connected in it. Whoever makes the first link of a day in the trail's chain asks for it too: that
begins it for a tenant, and goes on with it after a time in which no worker ran.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zlib import crc32

import structlog

from service.cedar.entities import tenant_entity
from service.domain.downloads import DeliveryState
from service.domain.files import FileState
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.usage import DayEnd, UsageDay, beginning, day_of, following
from service.domain.work import Work, WorkKind
from service.errors import InvalidRequestError
from service.operations.audit_outcomes import commanding

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import date

    from service.domain.audit_entries import Entry
    from service.domain.devices import Device
    from service.domain.files import FileVersion
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.audit import AuditEntries
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import DownloadRecords
    from service.ports.files import FileRecords
    from service.ports.usage import UsageDays, UsageEvents
    from service.ports.work import Timers

MOST_DAYS: Final = 366
"""Of one answer."""
MOST_BEHIND: Final = 31
"""Days that are counted of those that nobody counted in their time; earlier ones never are."""
_SHOWN: Final = 30
_SETTLED_MS: Final = 60_000  # within which an entry stands (`audit_chaining`)
_AFTER_MS: Final = 120_000
_SPREAD_MS: Final = 480_000  # all tenants' timers of a cell
_LATE_MS: Final = 1_800_000
"""After which a day's end can be told no more."""
_PAGE: Final = 1_000
_DEVICES: Final = 100
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def usage_work(tenant: Tenant) -> Work:
    """What the worker is told when a day is to be counted."""
    return Work(kind=WorkKind.COUNT_USAGE, issuer=tenant.issuer, tenant=tenant.id)


@dataclass(kw_only=True)
class _Tally:
    """What the trail of a day says; ``delivered`` is by download: who had it at which attempt."""

    decisions: int = 0
    denials: int = 0
    commands: int = 0
    delivered: defaultdict[str, set[tuple[str, int]]] = field(
        default_factory=lambda: defaultdict[str, "set[tuple[str, int]]"](set)
    )

    def take(self, entries: Sequence[Entry]) -> None:
        """Count some entries more; an end that stands there twice counts once."""
        self.commands += len(commanding(entries))
        for entry in entries:
            said = entry.document
            if said["kind"] == "decision":
                self.decisions += 1
                self.denials += said["decision"] == "DENY"
            download = said.get("about", {}).get("download")
            for device, end in said.get("outcome", {}).get("devices", {}).items():
                if end["state"] == DeliveryState.SUCCEEDED and isinstance(download, str):
                    self.delivered[download].add((device, end.get("attempt", 1)))


@dataclass(frozen=True, kw_only=True)
class UsageCounting:
    """Counts the days of a tenant that are over; twice, or two at once, is as good as once.

    Then it tells each, in its order: at least once, and a repetition says the same under the same
    id. What a bus does not take keeps no day from being counted.
    """

    usage: UsageDays
    events: UsageEvents
    entries: AuditEntries
    downloads: DownloadRecords
    files: FileRecords
    devices: DeviceFacts
    timers: Timers
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Count each day that is over and was not counted, and look again when the next one is.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        del work
        today = day_of(milliseconds(self.clock()) - _SETTLED_MS)
        last = following(today, -1)
        counted = await self.usage.newest(tenant)
        day = following(counted.day) if counted else last
        day = max(day, following(today, -MOST_BEHIND))
        told = await self.usage.told(tenant)
        if told is None:
            # Before the first is kept, so that a worker that dies here leaves none untold; what
            # was counted before anybody told of days is told to nobody.
            told = counted.day if counted else following(day, -1)
            await self.usage.note_told(tenant, told)
        if day <= last:
            files = await self._files(tenant)
            while day <= last:
                await self.usage.keep(tenant, await self._counted(tenant, day, files))
                log.info("usage.counted", day=day.isoformat())
                day = following(day)
        again = beginning(following(today)) + _AFTER_MS + crc32(tenant.id.encode()) % _SPREAD_MS
        at = datetime.fromtimestamp(again // 1000, UTC)
        await self.timers.wake(f"{tenant.id}--usage", at, usage_work(tenant))
        await self._tell(tenant, max(following(told), following(last, 1 - MOST_DAYS)), last)

    async def _tell(self, tenant: Tenant, first: date, last: date) -> None:
        if first > last:
            return
        for day in await self.usage.between(tenant, first=first, last=last):
            # Told before it is noted: a worker that dies between tells it twice, and never not.
            await self.events.tell(tenant, day)
            await self.usage.note_told(tenant, day.day)
            log.info("usage.told", day=day.day.isoformat())

    async def _counted(self, tenant: Tenant, day: date, files: Sequence[FileVersion]) -> UsageDay:
        since, until = beginning(day), beginning(following(day))
        tally = _Tally()
        async for entries in self._entries(tenant, since, until - 1):
            tally.take(entries)
        delivered = 0
        for download, devices in tally.delivered.items():
            record = await self.downloads.read(tenant, download)
            delivered += record.size * len(devices) if record else 0
        now = milliseconds(self.clock())
        return UsageDay(
            day=day,
            counted_at=now,
            decisions=tally.decisions,
            denials=tally.denials,
            commands=tally.commands,
            deliveries=sum(map(len, tally.delivered.values())),
            bytes_delivered=delivered,
            bytes_uploaded=sum(one.size for one in files if since <= _whole_at(one) < until),
            # What the rows say later is of a later day: not told then.
            end=None if now >= until + _LATE_MS else await self._end(tenant, since, until, files),
        )

    async def _entries(
        self, tenant: Tenant, since: int, until: int
    ) -> AsyncGenerator[Sequence[Entry]]:
        """The entries of a span, each once; so many at a time."""
        known: set[str] = set()
        while True:
            most = _PAGE + len(known)
            found = await self.entries.oldest(tenant, since=since, until=until, most=most)
            yield [entry for entry in found if entry.entry_id not in known]
            if len(found) < most:
                return
            since = found[-1].at
            known = {entry.entry_id for entry in found if entry.at == since}

    async def _files(self, tenant: Tenant) -> list[FileVersion]:
        found: list[FileVersion] = []
        cursor: str | None = None
        while True:
            page = await self.files.page(tenant, prefix="", limit=_DEVICES, cursor=cursor)
            found += page.files
            if (cursor := page.cursor) is None:
                return found

    async def _end(
        self, tenant: Tenant, since: int, until: int, files: Sequence[FileVersion]
    ) -> DayEnd:
        had = connected = 0
        cursor: str | None = None
        while True:
            page = await self.devices.page(tenant, limit=_DEVICES, cursor=cursor)
            standing = [one for one in page.devices if one.retired_at is None]
            had += len(standing)
            connected += sum(_was_connected(one, since, until) for one in standing)
            if (cursor := page.cursor) is None:
                break
        stored = sum(
            one.size for one in files if one.state is FileState.AVAILABLE and one.changed_at < until
        )
        return DayEnd(devices=had, devices_connected=connected, stored_bytes=stored)


def _was_connected(device: Device, since: int, until: int) -> bool:
    """Whether a device was connected in a span, by the last that was heard of its connection."""
    last = device.connectivity
    if last is None or last.since_ms is None:
        return False
    return last.since_ms < until if last.connected else last.since_ms >= since


def _whole_at(file: FileVersion) -> int:
    """When the worker found the file whole; -1: it did not.

    Of one that was retired since nobody knows more than when it was begun; with a version it was
    whole.
    """
    if file.state is FileState.AVAILABLE:
        return file.changed_at
    return file.created_at if file.state is FileState.RETIRED and file.version else -1


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The days of the caller's tenant."""

    usage: UsageDays
    clock: Clock

    async def days(
        self, access: Access, *, since: date | None, until: date | None
    ) -> Sequence[UsageDay]:
        """The days of a span that were counted, in their order.

        Args:
            access: of the caller.
            since: the first day; ``None``: 29 before the last.
            until: the last day; ``None``: yesterday, which is counted soon after its end.

        Raises:
            PermissionDeniedError: not allowed.
            InvalidRequestError: the span ends before it begins, or has more than 366 days.
        """
        tenant = access.principal.tenant
        await access.require(Permission.VIEW_USAGE, (tenant_entity(tenant.id),))
        last = until or following(day_of(milliseconds(self.clock())), -1)
        first = since or following(last, 1 - _SHOWN)
        if not 1 <= (last - first).days + 1 <= MOST_DAYS:
            raise InvalidRequestError(
                "since", f"must not be later than `until`, nor {MOST_DAYS} days before it"
            )
        return await self.usage.between(tenant, first=first, last=last)
