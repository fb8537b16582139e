"""Twins of the audit trail, of the keys of its people, of the chain over it, and of its signer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.domain.audit_entries import Entry, PersonKey, entry_of
from service.domain.usage import day_of
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from service.domain.audit import AuditRecord
    from service.domain.audit_chain import Checkpoint, Link, Noted
    from service.domain.tenants import Tenant

TRAIL = "the audit trail"
_KEEPS_SECONDS = 400 * 24 * 3600  # as the service's settings say, if nobody says otherwise


@dataclass(kw_only=True)
class MemoryPersonKeys:
    """Keys by tenant and person."""

    known: dict[tuple[str, str], PersonKey] = field(
        default_factory=dict[tuple[str, str], "PersonKey"]
    )

    async def of(self, tenant: Tenant, person: str) -> PersonKey:
        return self.known.setdefault((tenant.id, person), PersonKey.fresh(person))

    async def find(self, tenant: Tenant, person: str) -> PersonKey | None:
        return self.known.get((tenant.id, person))

    async def all(self, tenant: Tenant) -> Mapping[str, PersonKey]:
        return {key.pseudonym: key for (owner, _), key in self.known.items() if owner == tenant.id}

    async def erase(self, tenant: Tenant, person: str) -> None:
        self.known.pop((tenant.id, person), None)


@dataclass(kw_only=True)
class MemoryAuditLog:
    """The trail, in order; ``available = False`` makes it fail.

    Attributes:
        trail: what was written, as it was made.
        kept: the entries of it, by tenant and id.
    """

    people: MemoryPersonKeys = field(default_factory=MemoryPersonKeys)
    trail: list[AuditRecord] = field(default_factory=list["AuditRecord"])
    kept: dict[str, dict[str, Entry]] = field(default_factory=dict[str, dict[str, Entry]])
    available: bool = True

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        if not self.available:
            raise UnavailableError(TRAIL)
        key = None if record.person is None else await self.people.of(tenant, record.person)
        of = None if record.of_person is None else await self.people.of(tenant, record.of_person)
        self.trail.append(record)
        await self.keep(tenant, entry_of(record, key, of))

    async def keep(self, tenant: Tenant, entry: Entry) -> None:
        if not self.available:
            raise UnavailableError(TRAIL)
        self.kept.setdefault(tenant.id, {}).setdefault(entry.entry_id, entry)

    async def oldest(self, tenant: Tenant, *, since: int, until: int, most: int) -> Sequence[Entry]:
        return [one for one in self._of(tenant) if since <= one.at <= until][:most]

    async def newest(
        self, tenant: Tenant, *, since: int, until: int, before: str | None, most: int
    ) -> tuple[Sequence[Entry], str | None]:
        found = [
            one
            for one in reversed(self._of(tenant))
            if since <= one.at <= until and (before is None or one.entry_id < before)
        ]
        return found[:most], found[most - 1].entry_id if len(found) >= most else None

    async def of_link(self, tenant: Tenant, link: Link) -> Sequence[Entry]:
        kept = self.kept.get(tenant.id, {})
        return [kept[entry_id] for entry_id, _ in link.entries if entry_id in kept]

    def _of(self, tenant: Tenant) -> list[Entry]:
        return sorted(self.kept.get(tenant.id, {}).values(), key=lambda one: one.entry_id)


@dataclass(kw_only=True)
class MemoryAuditChain:
    """Links, checkpoints and what was noted of them, by tenant."""

    links: dict[str, list[Link]] = field(default_factory=dict[str, list["Link"]])
    signed: dict[str, dict[int, Checkpoint]] = field(
        default_factory=dict[str, dict[int, "Checkpoint"]]
    )
    notes: dict[str, dict[date, Noted]] = field(default_factory=dict[str, dict["date", "Noted"]])

    async def last(self, tenant: Tenant, *, most: int) -> Sequence[Link]:
        return self.links.get(tenant.id, [])[: -most - 1 : -1]

    async def append(self, tenant: Tenant, link: Link) -> bool:
        links = self.links.setdefault(tenant.id, [])
        if link.number <= len(links):
            return links[link.number - 1] == link
        links.append(link)
        return True

    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[Link]:
        links = self.links.get(tenant.id, [])
        return [link for link in links if link.number >= number][:most]

    async def last_checkpoint(self, tenant: Tenant) -> Checkpoint | None:
        signed = self.signed.get(tenant.id, {})
        return signed[max(signed)] if signed else None

    async def checkpoints(
        self, tenant: Tenant, *, first: int, last: int
    ) -> Mapping[int, Checkpoint]:
        signed = self.signed.get(tenant.id, {})
        return {number: one for number, one in signed.items() if first <= number <= last}

    async def sign_off(self, tenant: Tenant, checkpoint: Checkpoint) -> None:
        self.signed.setdefault(tenant.id, {}).setdefault(checkpoint.number, checkpoint)

    @property
    def keeps_seconds(self) -> int:
        return _KEEPS_SECONDS

    async def noted(self, tenant: Tenant) -> Noted | None:
        found = self.notes.get(tenant.id, {})
        return found[max(found)] if found else None

    async def note(self, tenant: Tenant, noted: Noted) -> None:
        self.notes.setdefault(tenant.id, {}).setdefault(day_of(noted.at), noted)


@dataclass(kw_only=True)
class MemoryAuditSigner:
    """Signs with a key of its own."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    async def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    async def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))
