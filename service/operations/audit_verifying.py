"""The worker verifies each tenant's audit chain once a day, and tells what it found.

It reads the trail as an export of it is read (``domain.audit_verification``), a stretch a message,
from the oldest link that is kept to the newest. Beside what one export proves it knows the key that
may sign, and how far the chain was when it was last found whole: so it finds a chain that was cut
at its end or its beginning, or written anew. A day on which it is whole is noted in a row; a broken
one is not, and is told of anew each day.

What it cannot see: rows that were taken away at the end together with what was noted of them. For
that note the head elsewhere (docs/audit.md).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zlib import crc32

import structlog

from service.domain.audit_chain import Noted, fingerprint
from service.domain.audit_verification import UNSIGNED_MS, Verification
from service.domain.instants import milliseconds, time_of
from service.domain.usage import beginning, day_of, following
from service.domain.work import Work, WorkKind
from service.operations.audit_reading import MOST_ENTRIES, export_lines
from service.ports.metrics import AUDIT_VERIFIED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.audit_chain import Link
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.ports.audit import AuditChain, AuditEntries, AuditSigner
    from service.ports.metrics import Metrics
    from service.ports.work import Timers, WorkQueue

VERIFIED_AFTER: Final = 120
"""Seconds behind the first link of a day, which is signed by then."""
_DAY_MS: Final = 24 * 3600 * 1000
_AFTER_MS: Final = 2 * 3600 * 1000  # of midnight, when the days' usage has been counted
_SPREAD_MS: Final = 3 * 3600 * 1000  # all tenants' timers of a cell
_LINKS: Final = 20
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def verifying_work(tenant: Tenant, **about: str) -> Work:
    """What the worker is told when a chain is to be verified, or gone on with."""
    return Work(kind=WorkKind.VERIFY_AUDIT, issuer=tenant.issuer, tenant=tenant.id, about={**about})


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where a stretch begins.

    Attributes:
        first: number of its first link.
        link: its hash, as it was found before; empty: nobody looked yet.
        oldest: number of the first link of all that are looked at.
        oldest_at: of that link's earliest entry.
    """

    first: int
    link: str
    oldest: int
    oldest_at: int

    @property
    def about(self) -> dict[str, str]:
        """As a message tells it."""
        return {
            "first": str(self.first),
            "link": self.link,
            "oldest": str(self.oldest),
            "oldest_at": str(self.oldest_at),
        }

    @classmethod
    def of(cls, about: Mapping[str, str]) -> _Start:
        """As a message told it."""
        return cls(
            first=int(about["first"]),
            link=about["link"],
            oldest=int(about["oldest"]),
            oldest_at=int(about["oldest_at"]),
        )


@dataclass(frozen=True, kw_only=True)
class AuditVerifying:
    """Verifies one tenant's chain; twice, or two at once, is as good as once.

    Attributes:
        most: entries of a stretch, after which it ends where it is signed.
    """

    entries: AuditEntries
    chain: AuditChain
    signer: AuditSigner
    queue: WorkQueue
    timers: Timers
    metrics: Metrics
    clock: Clock
    most: int = MOST_ENTRIES

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Verify a stretch, and have the next one verified; behind the last one wait for a day.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        try:
            problems = await (
                self._stretch(tenant, _Start.of(work.about))
                if work.about
                else self._begin(tenant, milliseconds(self.clock()))
            )
        # Fail closed: what cannot be read (`UnreadableLinkError`, an id that tells no time, ...) is
        # not what was written down.
        except ValueError as error:
            problems = [str(error)]
        if problems:
            self.metrics.count(AUDIT_VERIFIED, "broken")
            log.error("audit.broken", tenant=tenant.id, problems=problems)
        today = day_of(milliseconds(self.clock()))
        at = beginning(following(today)) + _AFTER_MS + crc32(tenant.id.encode()) % _SPREAD_MS
        when = datetime.fromtimestamp(at // 1000, UTC)
        await self.timers.wake(f"{tenant.id}--audit", when, verifying_work(tenant))

    async def _begin(self, tenant: Tenant, now: int) -> list[str]:
        """Compare the chain with what was noted of it, then verify its first stretch."""
        # What would leave while it is read, and is not missing then, is not looked at.
        kept = now - self.chain.keeps_seconds * 1000 + _DAY_MS
        noted = await self.chain.noted(tenant)
        if noted is not None and day_of(noted.at) == day_of(now):
            return []
        first = await self._first(tenant, kept)
        problems = await self._missing(tenant, noted, first, kept) if noted else []
        if problems or first is None:
            return problems
        signed = await self.chain.last_checkpoint(tenant)
        if signed is None or signed.number < first.number:
            # The worker signs within a minute (`audit_chaining`).
            late = now - first.made_at > UNSIGNED_MS
            return [f"nothing is signed from link {first.number} on"] if late else []
        start = _Start(first=first.number, link="", oldest=first.number, oldest_at=_began(first))
        return await self._stretch(tenant, start)

    async def _first(self, tenant: Tenant, kept: int) -> Link | None:
        """The first link of which each entry is later than ``kept``."""
        number = 0
        while links := await self.chain.since(tenant, number=number, most=_LINKS):
            for link in links:
                if _began(link) > kept:
                    return link
            number = links[-1].number + 1
        return None

    async def _missing(
        self, tenant: Tenant, noted: Noted, first: Link | None, kept: int
    ) -> list[str]:
        """What was there when the chain was last found whole, should be, and is not."""
        problems: list[str] = []
        if noted.oldest_at > kept and (first is None or first.number > noted.oldest):
            there = f"begins with {first.number}" if first else "has none"
            problems.append(f"link {noted.oldest} is missing at its beginning: it {there}")
        if noted.made_at > kept:
            found = await self.chain.since(tenant, number=noted.number, most=1)
            if not found or (found[0].number, found[0].hash) != (noted.number, noted.link):
                problems.append(f"link {noted.number} is not there as it was found before")
        return problems

    async def _stretch(self, tenant: Tenant, start: _Start) -> list[str]:
        """Verify as many links as one export has; what speaks against them."""
        lines = [
            line
            async for line in export_lines(
                tenant,
                first=start.first,
                entries=self.entries,
                chain=self.chain,
                clock=self.clock,
                most=self.most,
            )
        ]
        verification = Verification(
            trusted={fingerprint(await self.signer.public_key())},
            heads={start.first: start.link} if start.link else {},
        )
        # Thousands of hashes: the other messages go on meanwhile.
        found = await asyncio.to_thread(verification.verify, [lines])
        if found.problems:
            return found.problems
        if json.loads(lines[-1])["body"]["next"] is not None:
            # An export that goes on ends where it is signed, and the next stretch begins there.
            following_one = _Start(
                first=found.last,
                link=found.head,
                oldest=start.oldest,
                oldest_at=start.oldest_at,
            )
            await self.queue.send([verifying_work(tenant, **following_one.about)])
            return []
        [last] = await self.chain.since(tenant, number=found.last, most=1)
        await self.chain.note(
            tenant,
            Noted(
                at=milliseconds(self.clock()),
                number=found.last,
                link=found.head,
                made_at=last.made_at,
                oldest=start.oldest,
                oldest_at=start.oldest_at,
            ),
        )
        self.metrics.count(AUDIT_VERIFIED, "whole")
        log.info("audit.whole", tenant=tenant.id, number=found.last, link=found.head)
        return []


def _began(link: Link) -> int:
    """The time of a link's earliest entry."""
    return min((time_of(entry_id) for entry_id, _ in link.entries), default=link.made_at)
