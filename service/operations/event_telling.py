"""Writes what happened into the tenant's log of events, what IoT Core's rules tell among it.

The worker alone writes a log. Whoever has something to tell waits for the page that holds it, and
those that wait at the same moment share one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.bounded_cache import BoundedCache
from service.domain.events import MOST_EVENTS, Event, EventPage, EventType, event_id
from service.domain.instants import milliseconds
from service.errors import UnavailableError
from service.ports.metrics import HAPPENED, UNMEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.operations.webhook_delivery import WebhookNotices
    from service.ports.events import EventLog
    from service.ports.metrics import Metrics

_TRIES: Final = 10
_TOLD: Final = 50_000
_TOLD_SECONDS: Final = 3600
_MOST_TEXT: Final = 128
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass
class _Told:
    """Events of one caller, who waits until they stand."""

    events: tuple[Event, ...]
    stands: asyncio.Future[None]


@dataclass(kw_only=True)
class EventTelling:
    """Appends to the logs of tenants.

    A page is put under the next number, so of two workers one puts it, and the other looks at what
    is there then. What is told again soon (its message came twice) stands once; later it may stand
    twice, under the same id.
    """

    log: EventLog
    notices: WebhookNotices
    clock: Clock
    metrics: Metrics = UNMEASURED
    _waiting: dict[str, deque[_Told]] = field(
        default_factory=dict[str, "deque[_Told]"], init=False, repr=False
    )
    _known: BoundedCache[tuple[str, str], bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Nothing is told yet."""
        self._known = BoundedCache(max_entries=_TOLD)

    async def tell(self, tenant: Tenant, events: Sequence[Event]) -> None:
        """Have events stand in the tenant's log.

        Raises:
            UpstreamError: they may not; tell them again.
        """
        if not events:
            return
        told = _Told(tuple(events), asyncio.get_running_loop().create_future())
        waiting = self._waiting.get(tenant.id)
        if waiting is not None:
            waiting.append(told)
        else:
            # Whoever comes first writes for those that come while they write.
            waiting = self._waiting[tenant.id] = deque([told])
            try:
                while waiting:
                    await self._write(tenant, waiting)
            finally:
                del self._waiting[tenant.id]
                for left in waiting:
                    left.stands.set_exception(UnavailableError("the event log"))
        await told.stands

    async def _write(self, tenant: Tenant, waiting: deque[_Told]) -> None:
        """Put what waits, as much of it as one page takes, or the events of one caller."""
        taken, count = [waiting.popleft()], 0
        count = len(taken[0].events)
        while waiting and count + len(waiting[0].events) <= MOST_EVENTS:
            taken.append(waiting.popleft())
            count += len(taken[-1].events)
        events = [event for told in taken for event in told.events]
        try:
            for start in range(0, len(events), MOST_EVENTS):
                await self._append(tenant, events[start : start + MOST_EVENTS])
            # Also behind what stood already: whoever wrote it may have died before this.
            await self.notices.tell(tenant)
        except BaseException as error:
            for told in taken:
                if not told.stands.done():
                    told.stands.set_exception(
                        error if isinstance(error, Exception) else UnavailableError("the event log")
                    )
                    told.stands.exception()  # looked at: nobody may wait for it any more
            if not isinstance(error, Exception):
                raise
            return
        for told in taken:
            if not told.stands.done():
                told.stands.set_result(None)

    async def _append(self, tenant: Tenant, events: Sequence[Event]) -> None:
        for _ in range(_TRIES):
            head = await self.log.last(tenant)
            there = {one.event_id for one in head.events} if head else set[str]()
            fresh: dict[str, Event] = {}
            for event in events:
                if event.event_id not in there and not self._known.get((tenant.id, event.event_id)):
                    fresh[event.event_id] = event
            if not fresh:
                return
            now = milliseconds(self.clock())
            page = EventPage(
                number=head.number + 1 if head else now,
                made_at=now,
                events=tuple(fresh.values()),
                is_first=head is None,
            )
            if await self.log.append(tenant, page):
                for one in fresh:
                    self._known.put((tenant.id, one), value=True, seconds=_TOLD_SECONDS)
                log.info("events.told", tenant=tenant.id, page=page.number, events=len(fresh))
                return
        raise UnavailableError("the event log")

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Tell what a rule of IoT Core has told.

        Raises:
            UpstreamError: the log does not answer; the message comes again.
            ValueError: it is of no form that a rule of ours makes.
        """
        event = event_of_rule(tenant.id, work.about)
        await self.tell(tenant, [event])
        self.metrics.count(HAPPENED, event.type, _how(event))


def event_of_rule(tenant: str, about: Mapping[str, str]) -> Event:
    """The event of a rule's message (`infra/stacks/platform_stack/live_events.py`).

    Raises:
        ValueError: it is of no form that a rule of ours makes.
    """
    owner, device = wire.split_thing_name(about["thing"])
    kind, at = EventType(about["happened"]), int(float(about["at"]))
    # Fail closed: a rule computes the tenant of the same name; what differs is of nobody.
    if owner != tenant or any(len(one) > _MOST_TEXT for one in about.values()):
        raise ValueError("not of this tenant, or too long")
    data = {name: about[name] for name in _DATA[kind] if name in about}
    if kind is EventType.DELIVERY_STATE:
        # `acme--01J...-07`: the job of a download (`domain.downloads`).
        data["download"] = about["job"].removeprefix(f"{tenant}--")[:26]
    # A state is told once, whatever the time of its telling; a connection each time.
    told = [data[name] for name in sorted(data)]
    when = [] if kind in _ONCE else [str(at)]
    return Event(
        event_id=event_id(tenant, kind, device, *told, *when),
        type=kind,
        at=at,
        device=device,
        data=data,
    )


def _how(event: Event) -> str:
    """How it went, in a word of few: a state, or whether a connection was lost."""
    if event.type is EventType.DEVICE_DISCONNECTED:
        return "ended" if event.data.get("reason") == _ENDED else "lost"
    return str(event.data.get("state", "")).lower().replace("_", "-") or "done"


_ENDED: Final = "CLIENT_INITIATED_DISCONNECT"
"""The device said goodbye (source: AWS IoT Core developer guide, "Lifecycle events")."""
_DATA: Final[Mapping[EventType, tuple[str, ...]]] = {
    EventType.COMMAND_STATE: ("command", "sequence", "state"),
    EventType.DELIVERY_STATE: ("job", "state"),
    EventType.DEVICE_CONNECTED: ("connection",),
    EventType.DEVICE_DISCONNECTED: ("connection", "reason"),
    EventType.DEVICE_ENROLLED: (),
}
_ONCE: Final = frozenset({EventType.COMMAND_STATE, EventType.DELIVERY_STATE})
