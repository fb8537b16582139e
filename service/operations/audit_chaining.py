"""The worker's part of the audit trail: makes links of its chain, and has them signed.

Entries are written by many processes at once and in no order, so none of them waits for another; a
link then takes up what is there and in no link yet. An entry stands at most a minute after the time
in its id: a process gives a call of AWS 20 seconds in all, and clocks differ by less than the rest.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.audit_chain import MOST_ENTRIES, Checkpoint, Link
from service.domain.instants import milliseconds, time_of
from service.domain.usage import day_of
from service.domain.work import Work, WorkKind
from service.errors import UnavailableError
from service.operations.audit_outcomes import FIRST_LOOK, commanding, outcome_work
from service.operations.audit_verifying import VERIFIED_AFTER, verifying_work
from service.operations.decided_events import decisions_work, tells_something
from service.operations.usage import usage_work

if TYPE_CHECKING:
    from service.domain.audit_entries import Entry
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.ports.audit import AuditChain, AuditEntries, AuditSigner
    from service.ports.work import WorkQueue

SETTLED_MS: Final = 60_000
SIGNED_EVERY_MS: Final = 60_000
_OLDEST_MS: Final = 14 * 24 * 3600 * 1000
"""How far back the first link looks: as long as the queue keeps the message that asks for it."""
_MOST_RECENT: Final = 50
_TRIES: Final = 8
_EARLY_SECONDS: Final = 5  # by which the clocks of two workers may differ
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class AuditChaining:
    """Looks after one tenant's chain at a time; twice, or two at once, is as good as once."""

    entries: AuditEntries
    chain: AuditChain
    signer: AuditSigner
    queue: WorkQueue
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Take up what is in no link yet, and have the chain signed if that is due.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        del work
        last = await self.chain.last_checkpoint(tenant)
        head = await self._grow(tenant, last)
        if head is not None and (last is None or last.number < head.number):
            await self._sign(tenant, head, last)

    async def _grow(self, tenant: Tenant, last: Checkpoint | None) -> Link | None:
        lost = 0
        while lost < _TRIES:
            recent = await self._recent(tenant)
            head = recent[0] if recent else None
            link, taken = await self._next(tenant, head, recent)
            if link is None:
                return head
            # Asked for before the link stands: whoever dies behind it leaves nothing untold.
            if any(map(tells_something, taken)):
                await self.queue.send([decisions_work(tenant, link.number)], delay_seconds=1)
            if commanding(taken):
                await self.queue.send([outcome_work(tenant, link.number)], delay_seconds=FIRST_LOOK)
            if head is None or day_of(head.made_at) < day_of(link.made_at):
                await self.queue.send([usage_work(tenant)], delay_seconds=1)
                await self.queue.send([verifying_work(tenant)], delay_seconds=VERIFIED_AFTER)
            left = self._left(last)
            if last is not None and left and link.number == last.number + 1:
                # Asked for before there is anything to sign: whoever dies here owes nobody.
                work = Work(kind=WorkKind.CHAIN_AUDIT, issuer=tenant.issuer, tenant=tenant.id)
                await self.queue.send([work], delay_seconds=left)
            # Of several workers one makes it; the others look at what is there then.
            if not await self.chain.append(tenant, link):
                lost += 1
                continue
            log.info("audit.linked", number=link.number, entries=len(link.entries))
            # What is written from now on comes with a message of its own.
            if len(link.entries) < MOST_ENTRIES:
                return link
        raise UnavailableError("the audit trail")

    async def _recent(self, tenant: Tenant) -> list[Link]:
        """Links that may hold entries from the last one's ``settled`` on, the newest first."""
        most = _MOST_RECENT
        while True:
            links = [*await self.chain.last(tenant, most=most)]
            since = links[0].settled - SETTLED_MS if links else 0
            if len(links) < most or links[-1].made_at < since:
                return links
            most *= 2

    async def _next(
        self, tenant: Tenant, head: Link | None, recent: list[Link]
    ) -> tuple[Link | None, list[Entry]]:
        """The link to make, if there is something for it, and its entries."""
        now = milliseconds(self.clock())
        linked = {entry_id for link in recent for entry_id, _ in link.entries}
        found = await self.entries.oldest(
            tenant,
            since=head.settled if head else now - _OLDEST_MS,
            until=now + SETTLED_MS,
            most=len(linked) + MOST_ENTRIES + 1,
        )
        fresh = [entry for entry in found if entry.entry_id not in linked]
        if not fresh:
            return None, []
        taken, left = fresh[:MOST_ENTRIES], fresh[MOST_ENTRIES:]
        settled = now - SETTLED_MS
        if left:
            settled = min(settled, time_of(left[0].entry_id))
        link = Link.after(
            head,
            tuple((entry.entry_id, entry.digest) for entry in taken),
            tenant=tenant.id,
            made_at=now,
            settled=settled,
        )
        return link, taken

    async def _sign(self, tenant: Tenant, head: Link, last: Checkpoint | None) -> None:
        if self._left(last) > _EARLY_SECONDS:
            return
        now = milliseconds(self.clock())
        key = await self.signer.public_key()
        signature = await self.signer.sign(Checkpoint.message(head, at=now))
        checkpoint = Checkpoint(
            tenant=tenant.id,
            number=head.number,
            link=head.hash,
            total=head.total,
            at=now,
            key=base64.b64encode(key).decode(),
            signature=base64.b64encode(signature).decode(),
        )
        # Fail closed: what would not be believed is not kept.
        if not checkpoint.is_signed:
            raise UnavailableError("the audit key")
        await self.chain.sign_off(tenant, checkpoint)
        log.info("audit.signed", number=head.number)

    def _left(self, last: Checkpoint | None) -> int:
        """Whole seconds until the chain may be signed again."""
        if last is None:
            return 0
        left = last.at + SIGNED_EVERY_MS - milliseconds(self.clock())
        return max(0, -(-left // 1000))
