"""What one process reads of the logs of events: each log once, for all who follow it here.

The log is the truth; a task that follows asks it for what is new once a second, whatever the number
of its readers, and only while there is one. Any number of tasks do so: each costs a read a second.
A reader that is behind reads the log by itself, a few pages at a time, so nothing piles up for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from service import deadline
from service.at_once import each
from service.domain.events import MOST_EVENTS, EventPage
from service.domain.groups import find_group
from service.errors import CedarfleetError, EventsGoneError, NotFoundError
from service.operations.devices import find_device
from service.operations.known_groups import knowing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence

    from service.cedar.request import Entity
    from service.domain.devices import Device
    from service.domain.events import EventCursor
    from service.domain.tenants import Tenant
    from service.ports.devices import DeviceFacts
    from service.ports.events import EventLog
    from service.ports.groups import GroupRecords

T = TypeVar("T")
_KEPT: Final = 64  # pages of a log, some 2 MB at most
_AT_ONCE: Final = 8  # pages of one read
_FACTS_SECONDS: Final = 2.0
_LONGEST_PAUSE: Final = 5.0
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass
class _Facts:
    """The devices that a page names, as they were at a moment."""

    at: float
    devices: asyncio.Task[Mapping[str, Device]]


@dataclass
class Feed:
    """One tenant's log, as this process follows it.

    Attributes:
        head: number of the newest page that is known; 0: there is none.
        pages: the last ones, without a gap.
        readers: who follows it here.
    """

    tenant: Tenant
    head: int
    pages: deque[EventPage] = field(default_factory=lambda: deque[EventPage](maxlen=_KEPT))
    readers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    polling: asyncio.Task[None] | None = None
    facts: dict[int, _Facts] = field(default_factory=dict[int, _Facts])

    def take(self, found: Sequence[EventPage]) -> None:
        """Know some pages more, and wake who waits for them."""
        if found:
            self.pages.extend(found)
            self.head = found[-1].number
            self.news.set()
            self.news = asyncio.Event()


@dataclass(kw_only=True)
class EventFeeds:
    """The logs that somebody follows in this process.

    Attributes:
        poll_seconds: how often a log is asked for what is new.
    """

    log: EventLog
    devices: DeviceFacts
    groups: GroupRecords
    poll_seconds: float = 1.0
    _feeds: dict[str, Feed] = field(default_factory=dict[str, Feed], init=False, repr=False)
    _tasks: set[asyncio.Task[object]] = field(
        default_factory=set["asyncio.Task[object]"], init=False, repr=False
    )

    @asynccontextmanager
    async def following(self, tenant: Tenant) -> AsyncGenerator[Feed]:
        """The tenant's feed, kept up to date inside.

        Raises:
            UnavailableError: the log does not answer.
        """
        feed = self._feeds.get(tenant.id)
        if feed is None:
            last = await self.log.last(tenant)
            # Somebody else may have begun meanwhile.
            feed = self._feeds.setdefault(
                tenant.id, Feed(tenant=tenant, head=last.number if last else 0)
            )
        feed.readers += 1
        if feed.polling is None:
            feed.polling = self._task(self._poll(feed))
        try:
            yield feed
        finally:
            feed.readers -= 1
            if feed.readers == 0:
                feed.polling.cancel()
                feed.polling = None
                self._feeds.pop(tenant.id, None)

    async def check(self, feed: Feed, cursor: EventCursor) -> None:
        """Make sure that everything behind the cursor is there.

        Raises:
            EventsGoneError: it is not, or no page has this number.
        """
        first = max(1, cursor.page)
        found = await self.log.since(feed.tenant, number=first, most=1)
        page = found[0] if found else None
        if cursor.page == 0:
            is_whole = page is None or page.is_first
        else:
            # The cursor's own page may have left; the one behind it may not.
            is_whole = page is not None and page.number in {cursor.page, cursor.page + 1}
        # Fail closed: who would miss something is told, and not served from somewhere.
        if not is_whole:
            raise EventsGoneError

    async def behind(self, feed: Feed, cursor: EventCursor) -> Sequence[EventPage]:
        """Some pages that hold what is behind the cursor, if there is anything.

        Raises:
            EventsGoneError: a page of it has left.
        """
        known = feed.pages
        if cursor.page > feed.head or (cursor.page == feed.head and not self._is_open(cursor)):
            return ()
        first = cursor.page if self._is_open(cursor) else cursor.page + 1
        if known and known[0].number <= first:
            return [page for page in known if page.number >= first][:_AT_ONCE]
        found = await self.log.since(feed.tenant, number=first, most=_AT_ONCE)
        if found and cursor.page and found[0].number not in {cursor.page, cursor.page + 1}:
            raise EventsGoneError
        for before, after in pairwise(found):
            if after.number != before.number + 1:
                raise EventsGoneError
        return found

    async def devices_of(self, feed: Feed, page: EventPage) -> Mapping[str, Device]:
        """The devices that a page names, as they were within the last two seconds.

        Readers of the page share them; a device that is no more, or cannot be decided on, is left
        out.
        """
        now = time.monotonic()
        facts = feed.facts.get(page.number)
        if facts is None or now - facts.at > _FACTS_SECONDS or _has_failed(facts.devices):
            for number in [one for one, old in feed.facts.items() if now - old.at > _FACTS_SECONDS]:
                del feed.facts[number]
            facts = feed.facts[page.number] = _Facts(now, self._task(self._found(feed, page)))
        return await asyncio.shield(facts.devices)

    async def groups_of(self, feed: Feed, names: Sequence[str]) -> Mapping[str, tuple[Entity, ...]]:
        """Those of these groups that there are, as policies see them.

        Raises:
            UnavailableError: they cannot be read.
        """
        tenant = await knowing(self.groups, feed.tenant, names)
        found = [find_group(tenant, name) for name in names]
        return {one.id: one.entities(tenant.groups) for one in found if one is not None}

    async def close(self) -> None:
        """End what is done in the background."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    @staticmethod
    def _is_open(cursor: EventCursor) -> bool:
        """Whether the cursor's own page may hold more than was seen of it."""
        return cursor.page > 0 and cursor.seen < MOST_EVENTS

    async def _found(self, feed: Feed, page: EventPage) -> Mapping[str, Device]:
        async def find(name: str) -> Device | None:
            try:
                device = await find_device(self.devices, feed.tenant, name)
            except NotFoundError:
                return None
            # Fail closed: of a device that cannot be read nobody knows who may see it.
            return None if device.problem else device

        names = sorted({event.device for event in page.events if event.device is not None})
        found = await each(find, names)
        return {device.id: device for device in found if device is not None}

    async def _poll(self, feed: Feed) -> None:
        pause = self.poll_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                found = await self.log.since(feed.tenant, number=feed.head + 1, most=_AT_ONCE)
            except (CedarfleetError, ValueError) as error:
                # What is told is told later; the readers' heartbeats go on.
                log.warning("events.not_read", tenant=feed.tenant.id, problem=type(error).__name__)
                pause = min(2 * max(pause, 0.1), _LONGEST_PAUSE)
                continue
            if found and feed.head and found[0].number != feed.head + 1:
                # The log was emptied, or begun anew: readers find the gap by themselves.
                feed.pages.clear()
            feed.take(found)
            pause = 0.0 if len(found) == _AT_ONCE else self.poll_seconds

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = deadline.shared(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
