"""The worker's turn with a webhook: when it is left alone, looked at again, and gone on with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.events import MemoryEventLog
from service.adapters.memory.user_pool import MemoryUserPool
from service.adapters.memory.webhooks import (
    MemoryWebhooks,
    MemoryWebhookSecrets,
    MemoryWebhookSender,
)
from service.adapters.memory.work import MemoryTimers, MemoryWorkQueue
from service.domain.events import MOST_EVENTS, Event, EventCursor, EventPage
from service.domain.webhooks import RETRIES, SealedSecret, Webhook, WebhookState
from service.domain.work import Work, WorkKind
from service.errors import ConflictError
from service.operations.webhook_delivery import WebhookDelivery, WebhookNotices
from service.operations.webhooks import send_work

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

ACME = MemoryUserPool("acme").tenant
NOW = datetime(2026, 10, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOOK = "01JD0000000000000000000000"
EARLY_MS = 4_000
HELD_MS = 90_000


def event(number: int, type_: str = "device.connected") -> Event:
    """One that happened."""
    return Event(event_id=f"evt_{number}", type=type_, at=NOW_MS, device="press-01")


@dataclass(kw_only=True)
class Unwilling(MemoryWebhooks):
    """Somebody changes the webhook before each of the next writes."""

    before_puts: list[Webhook | None] = field(default_factory=list["Webhook | None"])

    async def put(self, tenant: Tenant, webhook: Webhook) -> Webhook | None:
        """As one who comes too late, if somebody was faster."""
        if self.before_puts:
            change = self.before_puts.pop(0)
            own = self.known[tenant.id]
            if change is None:
                own.pop(webhook.webhook_id, None)
                return None
            revision = own[webhook.webhook_id].revision + 1
            own[webhook.webhook_id] = replace(change, revision=revision)
        return await super().put(tenant, webhook)


@dataclass(kw_only=True)
class Hooked:
    """A webhook of acme over twins, and the worker's part."""

    now: datetime = NOW
    seconds: float = 0
    records: MemoryWebhooks = field(default_factory=MemoryWebhooks)

    def __post_init__(self) -> None:
        self.log, self.sender = MemoryEventLog(), MemoryWebhookSender()
        self.queue, self.timers = MemoryWorkQueue(), MemoryTimers()
        sealed = asyncio.run(MemoryWebhookSecrets().seal(ACME, HOOK, "whsec_AAAA"))
        self.webhook = Webhook(
            webhook_id=HOOK,
            tenant="acme",
            url="https://hooks.example.com/in",
            nouns=("device",),
            secrets=(SealedSecret(sealed=sealed, ends_at=None),),
            cursor=EventCursor(page=0),
            created_by="somebody",
            created_at=1,
            revision=1,
        )
        self.set()
        self.delivery = WebhookDelivery(
            records=self.records,
            secrets=MemoryWebhookSecrets(),
            sender=self.sender,
            log=self.log,
            queue=self.queue,
            timers=self.timers,
            clock=lambda: self.now,
            seconds=lambda: self.seconds,
        )

    def set(self, **changes: object) -> None:
        """Let the webhook stand otherwise."""
        self.webhook = replace(self.webhook, **changes)  # type: ignore[arg-type]
        self.records.known["acme"] = {HOOK: self.webhook}

    @property
    def stored(self) -> Webhook:
        """As it stands."""
        return self.records.known["acme"][HOOK]

    def page(self, number: int, *events: Event) -> None:
        """Let the log have a page."""
        page = EventPage(number=number, made_at=NOW_MS, events=events)
        self.log.texts.setdefault("acme", {})[number] = page.text

    def handle(self) -> list[str]:
        """Have the worker look; ids of what was sent."""
        before = len(self.sender.sent)
        asyncio.run(self.delivery.handle(ACME, send_work(ACME, HOOK)))
        return [headers["webhook-id"] for _, headers, _ in self.sender.sent[before:]]

    def again(self, cursor: str, webhook: str = HOOK) -> list[str]:
        """Have one event sent again; ids of what was sent."""
        before = len(self.sender.sent)
        work = Work(
            kind=WorkKind.SEND_EVENT_AGAIN,
            issuer=ACME.issuer,
            tenant="acme",
            about={"webhook": webhook, "cursor": cursor},
        )
        asyncio.run(self.delivery.again(ACME, work))
        return [headers["webhook-id"] for _, headers, _ in self.sender.sent[before:]]


@pytest.mark.parametrize(
    ("changes", "sends", "later"),
    [
        ({}, True, []),
        ({"state": WebhookState.DISABLED}, False, []),
        ({"state": WebhookState.ENDED}, False, []),
        ({"due_at": NOW_MS + EARLY_MS}, True, []),
        ({"due_at": NOW_MS + EARLY_MS + 1}, False, []),
        ({"held_until": NOW_MS}, True, []),
        ({"held_until": NOW_MS + 1}, False, [5]),
        ({"held_until": NOW_MS + 4_999}, False, [5]),
        ({"held_until": NOW_MS + 60_000}, False, [61]),
        ({"held_until": NOW_MS + 10_000_000}, False, [900]),
    ],
    ids=str,
)
def test_a_webhook_is_left_alone_until_it_is_its_turn(
    changes: dict[str, object], later: list[int], *, sends: bool
) -> None:
    """What another holds is looked at again once it may be free; the rest has its message."""
    hooked = Hooked()
    hooked.set(**changes)
    hooked.page(1, event(1))
    assert hooked.handle() == (["evt_1"] if sends else [])
    assert [seconds for seconds, _ in hooked.queue.delayed] == later
    assert (hooked.stored.held_until == 0) is (sends or "held_until" not in changes)


def test_who_comes_second_to_a_webhook_looks_later() -> None:
    """Also one who read it before the other held it."""
    hooked = Hooked(records=Unwilling())
    assert isinstance(hooked.records, Unwilling)
    hooked.records.before_puts = [replace(hooked.webhook, held_until=NOW_MS + HELD_MS)]
    hooked.page(1, event(1))
    assert hooked.handle() == []
    assert hooked.queue.delayed == [(5, send_work(ACME, HOOK))]


def test_a_tenants_slow_targets_leave_others_their_places() -> None:
    """Two webhooks of one at once; a third waits, and its place is free when one is done."""
    hooked = Hooked()
    hooked.page(1, event(1))

    async def scenario() -> None:
        others = [f"{HOOK[:-1]}{number}" for number in (1, 2)]
        for id_ in others:
            sealed = await MemoryWebhookSecrets().seal(ACME, id_, "whsec_AAAA")
            hooked.records.known["acme"][id_] = replace(
                hooked.webhook,
                webhook_id=id_,
                secrets=(SealedSecret(sealed=sealed, ends_at=None),),
            )
        asked: list[str] = []

        def answers(_: str, __: bytes) -> str:
            asked.append("asked")
            return "204"

        hooked.sender.answers = answers
        reached, go_on = asyncio.Event(), asyncio.Event()
        free, real = asyncio.Semaphore(0), hooked.log.since

        class Waiting(MemoryEventLog):
            async def since(self, *args: object, **named: object) -> list[EventPage]:
                free.release()
                reached.set()
                await go_on.wait()
                return list(await real(*args, **named))  # type: ignore[arg-type]

        hooked.delivery.log = Waiting()
        works = [send_work(ACME, id_) for id_ in others]
        tasks = [asyncio.create_task(hooked.delivery.handle(ACME, work)) for work in works]
        for _ in tasks:
            await free.acquire()
        await hooked.delivery.handle(ACME, send_work(ACME, HOOK))
        assert [seconds for seconds, _ in hooked.queue.delayed] == [5]
        assert asked == []
        go_on.set()
        await asyncio.gather(*tasks)
        assert len(asked) == 2
        await hooked.delivery.handle(ACME, send_work(ACME, HOOK))
        assert len(asked) == 3

    asyncio.run(scenario())


def test_only_events_of_its_nouns_that_we_know_are_sent() -> None:
    """What is not is behind it all the same; each page is read to its end, over many pages."""
    hooked = Hooked()
    hooked.set(cursor=EventCursor(page=1, seen=1))
    hooked.page(1, event(1), event(2))
    hooked.page(2, event(3, "command.state"), event(4, "device.of-a-later-release"))
    for number in range(3, 12):
        hooked.page(number, event(number + 10))
    assert hooked.handle() == ["evt_2", *(f"evt_{number + 10}" for number in range(3, 12))]
    assert hooked.stored.cursor == EventCursor(page=11)
    assert hooked.handle() == []
    hooked.page(12, event(99))
    assert hooked.handle() == ["evt_99"]


@pytest.mark.parametrize(
    ("cursor", "expected"),
    [
        (EventCursor(page=0), ["evt_1", "evt_2", "evt_3"]),
        (EventCursor(page=7, seen=1), ["evt_2", "evt_3"]),
        (EventCursor(page=7, seen=2), ["evt_3"]),
        (EventCursor(page=7, seen=MOST_EVENTS - 1), ["evt_3"]),
        (EventCursor(page=7), ["evt_3"]),
        (EventCursor(page=8), []),
        (EventCursor(page=2, seen=1), ["evt_1", "evt_2", "evt_3"]),
    ],
    ids=str,
)
def test_it_goes_on_behind_its_cursor(cursor: EventCursor, expected: list[str]) -> None:
    """Also where pages between have left."""
    hooked = Hooked()
    hooked.set(cursor=cursor)
    hooked.page(7, event(1), event(2))
    hooked.page(8, event(3))
    assert hooked.handle() == expected


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate(RETRIES)))
def test_an_event_that_fails_is_tried_again_in_its_time(attempt: int, seconds: int) -> None:
    """By a message, or by a timer where that is too long for one; its cursor stays before it."""
    hooked = Hooked()
    hooked.set(attempt=attempt, cursor=EventCursor(page=0))
    hooked.page(1, event(1), event(2))
    hooked.sender.answers = lambda _, __: "500"
    assert hooked.handle() == ["evt_1"]
    stored = hooked.stored
    assert (stored.attempt, stored.due_at) == (attempt + 1, NOW_MS + seconds * 1000)
    assert (stored.held_until, stored.cursor) == (0, EventCursor(page=0))
    assert stored.state is WebhookState.ACTIVE
    work = send_work(ACME, HOOK)
    if seconds <= 900:
        assert (hooked.queue.delayed, hooked.timers.set_for) == ([(seconds, work)], {})
    else:
        at = NOW + timedelta(seconds=seconds)
        assert hooked.timers.set_for == {f"acme--w-{HOOK}": (at, work)}
        assert hooked.queue.delayed == []
    [noted] = hooked.records.noted["acme", HOOK]
    assert (noted.attempt, noted.delivered, noted.is_manual) == (attempt + 1, False, False)


def test_the_last_attempt_that_fails_disables_it() -> None:
    """With the reason; nothing more is sent, nor planned."""
    hooked = Hooked()
    hooked.set(attempt=len(RETRIES))
    hooked.page(1, event(1))
    hooked.sender.answers = lambda _, __: "tls"
    assert hooked.handle() == ["evt_1"]
    stored = hooked.stored
    assert (stored.state, stored.attempt, stored.held_until) == (WebhookState.DISABLED, 0, 0)
    assert stored.why == f"an event failed {len(RETRIES) + 1} times, last by `tls`"
    assert (hooked.queue.delayed, hooked.timers.set_for) == ([], {})
    assert hooked.handle() == []


def test_an_event_that_is_taken_ends_the_count_of_attempts() -> None:
    """The next one has all of its own."""
    hooked = Hooked()
    hooked.set(attempt=3)
    hooked.page(1, event(1), event(2))
    taken = iter(["204", "500"])
    hooked.sender.answers = lambda _, __: next(taken)
    assert hooked.handle() == ["evt_1", "evt_2"]
    assert (hooked.stored.attempt, hooked.stored.cursor) == (1, EventCursor(page=1, seen=1))
    assert [one.attempt for one in hooked.records.noted["acme", HOOK]] == [4, 1]


def test_who_disables_it_is_heeded_within_ten_events() -> None:
    """What was sent by then is written down, and no more is."""
    hooked = Hooked()
    hooked.page(1, *map(event, range(30)))

    def answers(_: str, __: bytes) -> str:
        if len(hooked.sender.sent) == 3:
            disabled = replace(
                hooked.stored, state=WebhookState.DISABLED, why="no", revision=9, secrets=()
            )
            hooked.records.known["acme"][HOOK] = disabled
        return "204"

    hooked.sender.answers = answers
    assert len(hooked.handle()) == 10
    stored = hooked.stored
    assert (stored.state, stored.why, stored.secrets) == (WebhookState.DISABLED, "no", ())
    assert stored.cursor == EventCursor(page=1, seen=10)


@pytest.mark.parametrize(("each", "sent"), [(5, 5), (20, 2), (21, 1)])
def test_a_turn_ends_after_some_seconds_and_goes_on(each: int, sent: int) -> None:
    """At once, as another message: others have their turn between."""
    hooked = Hooked()
    hooked.page(1, *map(event, range(7)))

    def answers(_: str, __: bytes) -> str:
        hooked.seconds += each
        return "204"

    hooked.sender.answers = answers
    assert len(hooked.handle()) == sent
    assert [Work.decode(one.text) for one in hooked.queue.waiting] == [send_work(ACME, HOOK)]
    assert (hooked.stored.cursor, hooked.stored.held_until) == (EventCursor(page=1, seen=sent), 0)


@pytest.mark.parametrize("times", [4, 5])
def test_a_webhook_that_is_changed_all_the_time_is_given_up(times: int) -> None:
    """Five writes are tried; the message comes again then."""
    hooked = Hooked(records=Unwilling())
    hooked.page(1, event(1))
    hooked.handle()
    hooked.page(2, event(2))

    def answers(_: str, __: bytes) -> str:
        assert isinstance(hooked.records, Unwilling)
        hooked.records.before_puts = [hooked.stored] * times
        return "204"

    hooked.sender.answers = answers
    if times < 5:
        assert hooked.handle() == ["evt_2"]
        assert hooked.stored.cursor == EventCursor(page=2)
        return
    with pytest.raises(ConflictError):
        hooked.handle()


def test_a_webhook_that_is_no_more_is_not_written() -> None:
    """Its record left while its event was on the way."""
    hooked = Hooked(records=Unwilling())
    hooked.page(1, event(1))

    def answers(_: str, __: bytes) -> str:
        assert isinstance(hooked.records, Unwilling)
        hooked.records.before_puts = [None]
        return "204"

    hooked.sender.answers = answers
    with pytest.raises(ConflictError):
        hooked.handle()
    assert hooked.records.known["acme"] == {}
    assert hooked.handle() == []


@pytest.mark.parametrize(
    ("cursor", "sent"),
    [
        ("7-1", ["evt_1"]),
        ("7-2", ["evt_2"]),
        ("7-3", []),
        ("6-1", []),
        ("8-1", []),
        ("0-1", []),
        ("seven", []),
    ],
)
def test_one_event_is_sent_again_as_it_was(cursor: str, sent: list[str]) -> None:
    """One that the log has no more, or never had, is not; another one in its place neither."""
    hooked = Hooked()
    hooked.page(7, event(1), event(2))
    assert hooked.again(cursor) == sent
    noted = hooked.records.noted.get(("acme", HOOK), [])
    assert [(one.attempt, one.is_manual) for one in noted] == [(1, True)] * len(sent)
    assert hooked.stored == hooked.webhook, "the turn of the others is as it was"


def test_nothing_is_sent_again_to_what_is_off() -> None:
    """Nor to what there is not."""
    hooked = Hooked()
    hooked.page(7, event(1))
    assert hooked.again("7-1", webhook="01JD0000000000000000000009") == []
    for state in set(WebhookState) - {WebhookState.ACTIVE}:
        hooked.set(state=state)
        assert hooked.again("7-1") == []


def test_a_notice_is_one_message_a_webhook_that_is_on() -> None:
    """However much comes within a second, and of no tenant else; later there is another."""
    hooked = Hooked()
    off = replace(hooked.webhook, webhook_id=f"{HOOK[:-1]}1", state=WebhookState.DISABLED)
    hooked.records.known["acme"][off.webhook_id] = off
    notices = WebhookNotices(records=hooked.records, queue=hooked.queue)
    for _ in range(3):
        asyncio.run(notices.tell(ACME))
    asyncio.run(notices.tell(MemoryUserPool("globex").tenant))
    assert hooked.queue.delayed == [(1, send_work(ACME, HOOK))]
    assert hooked.queue.waiting == []
