"""A tenant's audit trail in memory: entries, the worker that chains them, and exports of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from service.adapters.memory.audit import MemoryAuditChain, MemoryAuditLog, MemoryAuditSigner
from service.adapters.memory.work import MemoryWorkQueue
from service.cedar.decision import Allowed
from service.domain.audit import AuditRecord
from service.domain.instants import milliseconds, new_ulid
from service.domain.work import Work, WorkKind
from service.operations.audit_chaining import AuditChaining
from service.operations.audit_reading import AuditReading
from service.operations.audit_trail import AuditTrail

if TYPE_CHECKING:
    from service.domain.audit_entries import Entry
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.audit import AuditChain, AuditEntries, AuditSigner

BEGAN = datetime(2026, 11, 30, 8, tzinfo=UTC)


class Reader:
    """Somebody who may read the trail; stands for ``Access``."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.asked: list[object] = []

    @property
    def principal(self) -> Reader:
        """The one who asks."""
        return self

    async def require(self, action: object, *_: object) -> None:
        """Allow it, and note it."""
        self.asked.append(action)


@dataclass(kw_only=True)
class AuditedTenant:
    """One tenant's trail; time stands still until it is moved on."""

    tenant: Tenant
    now: datetime = BEGAN
    entries: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    chain: MemoryAuditChain = field(default_factory=MemoryAuditChain)
    signer: MemoryAuditSigner = field(default_factory=MemoryAuditSigner)
    queue: MemoryWorkQueue = field(default_factory=MemoryWorkQueue)

    @property
    def work(self) -> Work:
        """What the worker is told."""
        return Work(kind=WorkKind.CHAIN_AUDIT, issuer=self.tenant.issuer, tenant=self.tenant.id)

    def record(self, *, late_ms: int = 0, person: str = "ann") -> AuditRecord:
        """A record of now, or of a while ago."""
        at = milliseconds(self.now) - late_ms
        return AuditRecord(
            audit_id=new_ulid(at),
            at=at,
            tenant=self.tenant.id,
            principal=f"pool|{person}",
            person=person,
            action="OperateDevice",
            resource='Fleet::Device::"press-07"',
            decision=Allowed(policies=("managers-everything",)),
            request_id="request-1",
            source_ip="203.0.113.9",
            about={"command": new_ulid(at)},
        )

    def write(self, many: int = 1) -> None:
        """So many records, a second apart."""
        for _ in range(many):
            asyncio.run(self.entries.write(self.tenant, self.record()))
            self.now += timedelta(seconds=1)

    def chaining(
        self,
        *,
        entries: AuditEntries | None = None,
        chain: AuditChain | None = None,
        signer: AuditSigner | None = None,
    ) -> AuditChaining:
        """A worker of the trail, with parts of one's own."""
        return AuditChaining(
            entries=entries or self.entries,
            chain=chain or self.chain,
            signer=signer or self.signer,
            queue=self.queue,
            clock=lambda: self.now,
        )

    def link(self) -> None:
        """Have a worker look at the trail once."""
        asyncio.run(self.chaining().handle(self.tenant, self.work))

    @property
    def reading(self) -> AuditReading:
        """What reads the trail."""
        return AuditReading(
            entries=self.entries,
            chain=self.chain,
            people=self.entries.people,
            trail=AuditTrail(log=self.entries, queue=self.queue),
            clock=lambda: self.now,
        )

    def export(self, first: int = 1) -> list[str]:
        """The lines of an export."""

        async def lines() -> list[str]:
            reader = cast("Access", Reader(self.tenant))
            return [line async for line in await self.reading.begin_export(reader, first=first)]

        return asyncio.run(lines())

    @property
    def fingerprint(self) -> str:
        """Of the key that signs."""
        return next(iter(self.chain.signed[self.tenant.id].values())).fingerprint

    @property
    def chained(self) -> list[str]:
        """Ids of the entries in the chain, in its order."""
        links = self.chain.links.get(self.tenant.id, [])
        return [entry_id for link in links for entry_id, _ in link.entries]

    def kept(self) -> list[Entry]:
        """All entries, by id."""
        known: dict[str, Any] = self.entries.kept.get(self.tenant.id, {})
        return [known[one] for one in sorted(known)]
