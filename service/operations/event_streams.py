"""Follows a tenant's events for one reader, who sees those that the policies of now let them see.

Each event is decided on as it is told, by the reader's policies and the facts of its device at that
moment; whether the reader's token still counts is looked at every second. What must not be seen is
passed over without a word, and the cursor goes on behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.cedar.decision import Allowed
from service.cedar.entities import tenant_entity
from service.domain.events import (
    MOST_EVENTS,
    OF_DEVICES,
    OF_TARGETS,
    OF_TENANT,
    EventCursor,
    EventType,
)
from service.errors import (
    CallerError,
    EventsGoneError,
    InvalidRequestError,
    TooManyStreamsError,
    UpstreamError,
)
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Sequence

    from service.domain.events import Event, EventPage
    from service.domain.permissions import Permission
    from service.operations.authentication import Authenticate
    from service.operations.authorization import Access
    from service.operations.event_feeds import EventFeeds, Feed

OF_PERSON: Final = 10
"""Streams of one person or machine in one process; of a tenant and of all ten and a hundred times
as many, so a process keeps most of its places for requests."""
OF_TENANT_MOST: Final = 100
IN_ALL: Final = 500
HEARTBEAT_SECONDS: Final = 15.0
"""Well below what the load balancer lets a connection be idle (60 seconds: `IDLE_SECONDS`)."""
LONGEST_SECONDS: Final = 3600
LOOK_SECONDS: Final = 1.0
"""How old what was decided of reader or event may be as the event is told; a revocation is seen by
the second look after its row is read (``revocations.FRESH_SECONDS``), so within five seconds."""
_CALL_SECONDS: Final = 20.0
_KNOWN: Final = frozenset(EventType) - {EventType.UNKNOWN}
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class StreamEnd(StrEnum):
    """Why a stream ended; its reader follows on with the last id, if the token lets it."""

    TIME_OVER = "time-over"
    RESTARTING = "restarting"
    TOKEN = "token-over"  # noqa: S105 - a word for readers
    GONE = "events-gone"
    UNAVAILABLE = "unavailable"
    TOO_SLOW = "too-slow"
    """Said by the connection, behind what its reader left unread (``http_protocol``)."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One thing that a reader is sent.

    Attributes:
        cursor: up to where they have everything that they may see.
        event: ``None``: there is none, the stream lives.
        end: the stream ends, and why.
    """

    cursor: EventCursor
    event: Event | None = None
    end: StreamEnd | None = None


@dataclass(kw_only=True)
class EventStreams:
    """The streams of this process."""

    feeds: EventFeeds
    authenticate: Authenticate
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _open: Counter[tuple[str, ...]] = field(
        default_factory=Counter["tuple[str, ...]"], init=False, repr=False
    )

    async def follow(
        self,
        access: Access,
        *,
        nouns: Collection[str],
        after: str | None,
        seconds: float,
        ending: asyncio.Event | None = None,
    ) -> AsyncGenerator[Told]:
        """What happens from now on, or since a cursor.

        Args:
            access: of the reader.
            nouns: of the events that are wanted; none: those of devices.
            after: the last cursor that the reader has, as text; ``None``: from now on.
            seconds: after which the stream ends; 0: with what there is.
            ending: set once the process ends.

        Raises:
            InvalidRequestError: the cursor is none of ours.
            PermissionDeniedError: events of the tenant as a whole are not for the reader.
            EventsGoneError: what came since the cursor has left.
            TooManyStreamsError: there are enough.
            UnavailableError: the log does not answer.
        """
        cursor = EventCursor.read(after) if after is not None else None
        if after is not None and cursor is None:
            raise InvalidRequestError("Last-Event-ID", "must be the `id` of an event")
        wanted = frozenset(nouns) or frozenset(OF_DEVICES)
        tenant = tenant_entity(access.principal.tenant.id)
        # Asked for by name, and in the trail, as what they tell is on its own routes.
        for action in sorted({OF_TENANT[noun] for noun in wanted & OF_TENANT.keys()}):
            await access.require(action, (tenant,), Purpose(subject="events"))
        reader = _Reader(
            access=access,
            feeds=self.feeds,
            authenticate=self.authenticate,
            wanted=wanted,
            seconds=seconds,
            ending=ending or asyncio.Event(),
            heartbeat_seconds=self.heartbeat_seconds,
        )
        stream = self._told(reader, cursor)
        # What is refused is refused before anything is answered: the first word is waited for.
        first = await anext(stream)

        async def from_the_first() -> AsyncGenerator[Told]:
            try:
                yield first
                async for told in stream:
                    yield told
            finally:
                await stream.aclose()

        return from_the_first()

    async def _told(self, reader: _Reader, cursor: EventCursor | None) -> AsyncGenerator[Told]:
        principal = reader.access.principal
        with self._place(principal.tenant.id, principal.subject):
            async with self.feeds.following(principal.tenant) as feed:
                if cursor is None:
                    cursor = EventCursor(page=feed.head)
                else:
                    await self.feeds.check(feed, cursor)
                yield Told(cursor=cursor)
                try:
                    async with aclosing(reader.events(feed, cursor)) as stream:
                        async for told in stream:
                            cursor = told.cursor
                            yield told
                except (CallerError, UpstreamError) as error:
                    end = _end_of(error)
                    log.info("events.stream_ended", reason=end, problem=type(error).__name__)
                    yield Told(cursor=cursor, end=end)

    @contextmanager
    def _place(self, tenant: str, subject: str) -> Generator[None]:
        """One of the places for streams, for as long as it is used.

        Raises:
            TooManyStreamsError: there is none.
        """
        keys = (
            ((tenant, subject), OF_PERSON, "the caller"),
            ((tenant,), OF_TENANT_MOST, "the tenant"),
            ((), IN_ALL, "the service"),
        )
        for key, most, whose in keys:
            if self._open[key] >= most:
                raise TooManyStreamsError(whose, most)
        for key, _, _ in keys:
            self._open[key] += 1
        try:
            yield
        finally:
            for key, _, _ in keys:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]


@dataclass(kw_only=True)
class _Reader:
    """Who follows, what they want, and for how long."""

    access: Access
    feeds: EventFeeds
    authenticate: Authenticate
    wanted: frozenset[str]
    seconds: float
    ending: asyncio.Event
    heartbeat_seconds: float
    looked: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    async def events(self, feed: Feed, cursor: EventCursor) -> AsyncGenerator[Told]:
        """What there is behind the cursor, and then what comes.

        Raises:
            CallerError: the reader's token, or the cursor, counts no more.
            UpstreamError: a part does not answer.
        """
        began = self.said = time.monotonic()
        while True:
            await self._step()
            news = feed.news
            pages = await self.feeds.behind(feed, cursor)
            for page in pages:
                async with aclosing(self._of_page(feed, page, cursor)) as told:
                    async for one in told:
                        cursor = one.cursor
                        yield one
                cursor = EventCursor(page=page.number, seen=MOST_EVENTS)
                # Also far behind, where nothing is for this reader: silence would end it.
                if self._is_quiet():
                    yield Told(cursor=cursor)
                if self.ending.is_set():
                    break
            now = time.monotonic()
            if (end := self._end(began, is_behind=bool(pages))) is not None:
                yield Told(cursor=cursor, end=end)
                return
            if pages:
                continue
            if self._is_quiet():
                yield Told(cursor=cursor)
            left = min(
                LOOK_SECONDS, began + self.seconds - now, self.said + self.heartbeat_seconds - now
            )
            await _any(news, self.ending, seconds=max(0.0, left))

    async def _of_page(
        self, feed: Feed, page: EventPage, cursor: EventCursor
    ) -> AsyncGenerator[Told]:
        """What of a page the reader has not seen and may see, decided on again as time goes by."""
        while True:
            await self._step()
            decided = time.monotonic()
            for number, (place, event) in enumerate(await self._seen(feed, page, cursor)):
                # A reader that takes its time is not told by what was so when the page came.
                if number and time.monotonic() - decided >= LOOK_SECONDS:
                    break
                cursor = EventCursor(page=page.number, seen=place)
                self.said = time.monotonic()
                yield Told(cursor=cursor, event=event)
            else:
                return

    def _is_quiet(self) -> bool:
        """Whether something must be said, if only that the stream lives; then it is."""
        now = time.monotonic()
        if now - self.said < self.heartbeat_seconds:
            return False
        self.said = now
        return True

    def _end(self, began: float, *, is_behind: bool) -> StreamEnd | None:
        if self.ending.is_set():
            return StreamEnd.RESTARTING
        is_over = time.monotonic() - began >= self.seconds and not is_behind
        return StreamEnd.TIME_OVER if is_over else None

    async def _step(self) -> None:
        """Begin a step: it has its own time, and the token counts."""
        # A stream outlives the time that a request has.
        deadline.begin(_CALL_SECONDS)
        now = time.monotonic()
        if now - self.looked >= LOOK_SECONDS:
            await self.authenticate.still(self.access.principal)
            self.looked = now

    async def _seen(
        self, feed: Feed, page: EventPage, cursor: EventCursor
    ) -> Sequence[tuple[int, Event]]:
        """What of a page the reader has not seen and may see, each with its place behind it."""
        skipped = cursor.seen if page.number == cursor.page else 0
        asked = [
            (place, event)
            for place, event in enumerate(page.events, start=1)
            # Fail closed: of what a later release tells nobody here knows whom.
            if place > skipped and event.noun in self.wanted and event.type in _KNOWN
        ]
        may: dict[str, frozenset[str]] = {}
        for noun in sorted({event.noun for _, event in asked}):
            if noun in OF_DEVICES:
                named = {event.device for _, event in asked if event.noun == noun}
                may[noun] = await self._devices(feed, page, OF_DEVICES[noun], named)
            elif noun in OF_TARGETS:
                targets = [event for _, event in asked if event.noun == noun]
                may[noun] = await self._targets(feed, page, OF_TARGETS[noun], targets)
            else:
                may[noun] = await self._tenant(OF_TENANT[noun])
        return [(place, event) for place, event in asked if _whose(event) in may[event.noun]]

    async def _devices(
        self, feed: Feed, page: EventPage, action: Permission, named: Collection[str | None]
    ) -> frozenset[str]:
        known = await self.feeds.devices_of(feed, page)
        some = [known[name] for name in sorted(filter(None, named)) if name in known]
        return frozenset(device.id for device in await self.access.seen(action, some))

    async def _targets(
        self, feed: Feed, page: EventPage, action: Permission, events: Collection[Event]
    ) -> frozenset[str]:
        named = {event.device for event in events if event.device is not None}
        may = await self._devices(feed, page, action, named)
        names = sorted({_group(event) for event in events if event.device is None})
        groups = await self.feeds.groups_of(feed, names)
        asked = [(action, entities, Purpose()) for entities in groups.values()]
        decisions = await self.access.advise(asked) if asked else ()
        # Fail closed: each group needs an answer of its own.
        shown = zip(groups, decisions, strict=True)
        return may | {f" {name}" for name, said in shown if isinstance(said, Allowed)}

    async def _tenant(self, action: Permission) -> frozenset[str]:
        # Asked again with each page, of the copy: what was allowed at first may have ended.
        tenant = (tenant_entity(self.access.principal.tenant.id),)
        [decision] = await self.access.advise([(action, tenant, Purpose(subject="events"))])
        return frozenset({""} if isinstance(decision, Allowed) else ())


def _whose(event: Event) -> str:
    """What an event is decided by: a device, a group behind a blank, or the tenant, by no name."""
    if event.noun in OF_TARGETS and event.device is None:
        return f" {_group(event)}"
    return event.device or ""


def _group(event: Event) -> str:
    return str(event.data.get("target", ""))


def _end_of(error: Exception) -> StreamEnd:
    if isinstance(error, EventsGoneError):
        return StreamEnd.GONE
    if isinstance(error, UpstreamError):
        return StreamEnd.UNAVAILABLE
    return StreamEnd.TOKEN


async def _any(*events: asyncio.Event, seconds: float) -> None:
    """Wait for one of them, or for so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
