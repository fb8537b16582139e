"""The worker's part of webhooks: sends what the log of events holds behind each one's cursor.

One worker at a time holds a webhook. Events go out one after the other, each until its target has
taken it: a target that fails keeps its own events waiting and nobody else's. What is cut off is
sent again, with the same id.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from service.bounded_cache import BoundedCache
from service.domain.events import MOST_EVENTS, EventCursor, EventType
from service.domain.instants import milliseconds, new_ulid
from service.domain.webhooks import RETRIES, Delivery, Webhook, WebhookState, signed_headers
from service.errors import ConflictError
from service.operations.webhooks import send_work

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from service.domain.events import Event
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.webhooks import SealedSecret
    from service.domain.work import Work
    from service.ports.events import EventLog
    from service.ports.webhooks import Sent, WebhookRecords, WebhookSecrets, WebhookSender
    from service.ports.work import Timers, WorkQueue

_AT_ONCE: Final = 2
"""Webhooks of one tenant at once in one process, of its 32 messages: one tenant's slow targets
leave the others their places."""
_HELD_MS: Final = 90_000
_EARLY_MS: Final = 4_000  # by which the clocks of two workers may differ
_KEYS_SECONDS: Final = 300
_TURN_SECONDS: Final = 20.0
_SAVED_EVERY: Final = 10
_LONGEST_WAIT: Final = 900  # seconds (source: SQS API reference, SendMessage, DelaySeconds)
_KNOWN_SECONDS: Final = 10
_NOTICE_SECONDS: Final = 0.8
_PAGES: Final = 4
_KNOWN: Final = frozenset(EventType) - {EventType.UNKNOWN}
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(kw_only=True)
class WebhookNotices:
    """Tells the worker of webhooks for which something may have come."""

    records: WebhookRecords
    queue: WorkQueue
    _known: BoundedCache[str, tuple[str, ...]] = field(
        default_factory=lambda: BoundedCache(max_entries=10_000), init=False, repr=False
    )
    _told: BoundedCache[str, bool] = field(
        default_factory=lambda: BoundedCache(max_entries=10_000), init=False, repr=False
    )

    async def tell(self, tenant: Tenant) -> None:
        """Behind events that stand in the log; what comes within a second is one message.

        Raises:
            UpstreamError: it may not be told of.
        """
        ids = self._known.get(tenant.id)
        if ids is None:
            every = await self.records.every(tenant)
            ids = tuple(one.webhook_id for one in every if one.state is WebhookState.ACTIVE)
            self._known.put(tenant.id, ids, seconds=_KNOWN_SECONDS)
        fresh = [one for one in ids if not self._told.get(one)]
        for one in fresh:
            self._told.put(one, value=True, seconds=_NOTICE_SECONDS)
        if fresh:
            # Later than what is told meanwhile: that is found then too.
            works = [send_work(tenant, one) for one in fresh]
            await self.queue.send(works, delay_seconds=1)


@dataclass(kw_only=True)
class WebhookDelivery:
    """Sends the events of one webhook at a time."""

    records: WebhookRecords
    secrets: WebhookSecrets
    sender: WebhookSender
    log: EventLog
    queue: WorkQueue
    timers: Timers
    clock: Clock
    seconds: Callable[[], float] = time.monotonic
    _keys: BoundedCache[str, str] = field(
        default_factory=lambda: BoundedCache(max_entries=1_000), init=False, repr=False
    )
    _busy: Counter[str] = field(default_factory=Counter[str], init=False, repr=False)

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Send what there is for a webhook, for some seconds.

        Raises:
            UpstreamError: a part of AWS does not answer; the message comes again.
        """
        webhook = await self._find(tenant, work.about["webhook"])
        now = milliseconds(self.clock())
        if webhook is None or webhook.state is not WebhookState.ACTIVE:
            return
        # What waits for its next attempt has a message, or a timer, of its own.
        if now < webhook.due_at - _EARLY_MS:
            return
        if now < webhook.held_until or self._busy[tenant.id] >= _AT_ONCE:
            await self._later(tenant, webhook, max(5, (webhook.held_until - now) // 1000 + 1))
            return
        held = await self.records.put(tenant, replace(webhook, held_until=now + _HELD_MS))
        if held is None:
            await self._later(tenant, webhook, 5)
            return
        self._busy[tenant.id] += 1
        try:
            await self._turn(tenant, held)
        finally:
            self._busy[tenant.id] -= 1

    async def again(self, tenant: Tenant, work: Work) -> None:
        """Send one event once more, as somebody asked.

        Raises:
            UpstreamError: a part of AWS does not answer; the message comes again.
        """
        webhook = await self._find(tenant, work.about["webhook"])
        cursor = EventCursor.read(work.about["cursor"])
        if webhook is None or webhook.state is not WebhookState.ACTIVE or cursor is None:
            return
        pages = await self.log.since(tenant, number=max(1, cursor.page), most=1)
        page = pages[0] if pages else None
        if page is None or page.number != cursor.page or len(page.events) < cursor.seen:
            log.info("webhooks.event_gone", tenant=tenant.id, webhook=webhook.webhook_id)
            return
        event = page.events[cursor.seen - 1]
        await self._send(tenant, webhook, event, cursor, attempt=1, is_manual=True)

    async def _turn(self, tenant: Tenant, webhook: Webhook) -> None:
        began, sent_since = self.seconds(), 0
        async for cursor, event in self._behind(tenant, webhook.cursor):
            if event is not None and event.noun in webhook.nouns and event.type in _KNOWN:
                attempt = webhook.attempt + 1
                sent = await self._send(tenant, webhook, event, cursor, attempt=attempt)
                sent_since += 1
                if not sent.delivered:
                    await self._failed(tenant, webhook, attempt, sent)
                    return
            webhook = replace(webhook, cursor=cursor, attempt=0)
            if sent_since >= _SAVED_EVERY:
                webhook, sent_since = await self._save(tenant, webhook), 0
                if webhook.state is not WebhookState.ACTIVE:
                    return
            if self.seconds() - began > _TURN_SECONDS:
                await self._save(tenant, replace(webhook, held_until=0))
                await self._later(tenant, webhook, 0)
                return
        await self._save(tenant, replace(webhook, held_until=0))

    async def _behind(
        self, tenant: Tenant, cursor: EventCursor
    ) -> AsyncGenerator[tuple[EventCursor, Event | None]]:
        """Each event behind a cursor with the cursor behind it, and the end of each page."""
        first = cursor.page if cursor.page > 0 and cursor.seen < MOST_EVENTS else cursor.page + 1
        while pages := await self.log.since(tenant, number=max(1, first), most=_PAGES):
            if cursor.page and pages[0].number not in {cursor.page, cursor.page + 1}:
                # Disabled for longer than events are kept: it goes on with what there is.
                log.warning("webhooks.events_gone", tenant=tenant.id)
            for page in pages:
                skipped = cursor.seen if page.number == cursor.page else 0
                for place, event in enumerate(page.events[skipped:], start=skipped + 1):
                    yield EventCursor(page=page.number, seen=place), event
                cursor = EventCursor(page=page.number)
                yield cursor, None
            first = cursor.page + 1

    async def _send(
        self,
        tenant: Tenant,
        webhook: Webhook,
        event: Event,
        cursor: EventCursor,
        *,
        attempt: int,
        is_manual: bool = False,
    ) -> Sent:
        now = milliseconds(self.clock())
        keys = [await self._key(tenant, webhook, one) for one in webhook.valid(now)]
        body = event.payload()
        headers = signed_headers(keys, event_id=event.event_id, timestamp=now // 1000, body=body)
        sent = await self.sender.post(webhook.url, headers, body)
        delivery = Delivery(
            delivery_id=new_ulid(now),
            event_id=event.event_id,
            type=event.type,
            cursor=cursor,
            at=now,
            attempt=attempt,
            delivered=sent.delivered,
            outcome=sent.outcome,
            milliseconds=sent.milliseconds,
            is_manual=is_manual,
        )
        await self.records.note(tenant, webhook.webhook_id, delivery)
        log.info(
            "webhooks.sent",
            tenant=tenant.id,
            webhook=webhook.webhook_id,
            outcome=sent.outcome,
            attempt=attempt,
        )
        return sent

    async def _key(self, tenant: Tenant, webhook: Webhook, secret: SealedSecret) -> str:
        known = self._keys.get(secret.sealed)
        if known is None:
            known = await self.secrets.open(tenant, webhook.webhook_id, secret.sealed)
            self._keys.put(secret.sealed, known, seconds=_KEYS_SECONDS)
        return known

    async def _failed(self, tenant: Tenant, webhook: Webhook, attempt: int, sent: Sent) -> None:
        """Have it tried again in its time, or disable the webhook after the last attempt."""
        if attempt > len(RETRIES):
            log.warning("webhooks.disabled", tenant=tenant.id, webhook=webhook.webhook_id)
            why = f"an event failed {attempt} times, last by `{sent.outcome}`"
            await self._save(
                tenant,
                replace(webhook, state=WebhookState.DISABLED, why=why, attempt=0, held_until=0),
            )
            return
        seconds = RETRIES[attempt - 1]
        due = milliseconds(self.clock()) + seconds * 1000
        # Asked for before it is written: whoever dies between them leaves one that comes early.
        if seconds <= _LONGEST_WAIT:
            await self._later(tenant, webhook, seconds)
        else:
            at = self.clock() + timedelta(seconds=seconds)
            work = send_work(tenant, webhook.webhook_id)
            await self.timers.wake(f"{tenant.id}--w-{webhook.webhook_id}", at, work)
        await self._save(tenant, replace(webhook, attempt=attempt, due_at=due, held_until=0))

    async def _save(self, tenant: Tenant, webhook: Webhook) -> Webhook:
        """Store how far it is, beside what somebody may have changed of it meanwhile."""
        for _ in range(5):
            stored = await self.records.put(tenant, webhook)
            if stored is not None:
                return stored
            fresh = await self._find(tenant, webhook.webhook_id)
            if fresh is None:
                break
            is_disabled = webhook.state is WebhookState.DISABLED
            webhook = replace(
                webhook,
                revision=fresh.revision,
                secrets=fresh.secrets,
                # Fail closed: whoever disabled or ended it is heeded.
                state=webhook.state if is_disabled else fresh.state,
                why=webhook.why if is_disabled else fresh.why,
            )
        raise ConflictError("the webhook is changed all the time")

    async def _find(self, tenant: Tenant, webhook_id: str) -> Webhook | None:
        every: Sequence[Webhook] = await self.records.every(tenant)
        return next((one for one in every if one.webhook_id == webhook_id), None)

    async def _later(self, tenant: Tenant, webhook: Webhook, seconds: int) -> None:
        work = send_work(tenant, webhook.webhook_id)
        await self.queue.send([work], delay_seconds=min(seconds, _LONGEST_WAIT))
