"""The tenant's audit trail: entries, the keys of its people, the chain over it, who signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.audit import AuditRecord
    from service.domain.audit_chain import Checkpoint, Link, Noted
    from service.domain.audit_entries import Entry, PersonKey
    from service.domain.tenants import Tenant


class AuditLog(Protocol):
    """The tenant's trail of decisions."""

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        """Store a record, durably; its person is under a pseudonym from then on."""
        ...


class AuditEntries(Protocol):
    """The trail as it is kept."""

    async def keep(self, tenant: Tenant, entry: Entry) -> None:
        """Store an entry that no person made; the same again is fine."""
        ...

    async def oldest(self, tenant: Tenant, *, since: int, until: int, most: int) -> Sequence[Entry]:
        """The first entries of a span of time, in their order; whatever was stored is there.

        Args:
            tenant: whose they are.
            since: milliseconds since the epoch.
            until: the same; entries of this very time are there too.
            most: so many at most.
        """
        ...

    async def newest(
        self, tenant: Tenant, *, since: int, until: int, before: str | None, most: int
    ) -> tuple[Sequence[Entry], str | None]:
        """Entries of a span of time, the newest first, and before which id there may be more.

        Args:
            tenant: whose they are.
            since: milliseconds since the epoch.
            until: the same; entries of this very time are there too.
            before: an id behind the last that is wanted; ``None``: none.
            most: so many at most.
        """
        ...

    async def of_link(self, tenant: Tenant, link: Link) -> Sequence[Entry]:
        """The entries of a link, in its order; one that is there no more is left out."""
        ...


class PersonKeys(Protocol):
    """The keys that the people of a tenant are named and sealed by in its trail."""

    async def of(self, tenant: Tenant, person: str) -> PersonKey:
        """The key of a person; made, if there is none."""
        ...

    async def find(self, tenant: Tenant, person: str) -> PersonKey | None:
        """The key of a person, if there is one."""
        ...

    async def all(self, tenant: Tenant) -> Mapping[str, PersonKey]:
        """Each key that there is, by its pseudonym."""
        ...

    async def erase(self, tenant: Tenant, person: str) -> None:
        """Forget a person's key; there may be none."""
        ...


class AuditChain(Protocol):
    """The links of a tenant's chain, and the signatures over it."""

    async def last(self, tenant: Tenant, *, most: int) -> Sequence[Link]:
        """The last links, the newest first."""
        ...

    async def append(self, tenant: Tenant, link: Link) -> bool:
        """Store a link; ``False``: another of its number is there."""
        ...

    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[Link]:
        """Links of this number and later, in their order."""
        ...

    async def last_checkpoint(self, tenant: Tenant) -> Checkpoint | None:
        """The newest one."""
        ...

    async def checkpoints(
        self, tenant: Tenant, *, first: int, last: int
    ) -> Mapping[int, Checkpoint]:
        """Those of links of these numbers, by number."""
        ...

    async def sign_off(self, tenant: Tenant, checkpoint: Checkpoint) -> None:
        """Store a checkpoint; one of the same link may be there already."""
        ...

    @property
    def keeps_seconds(self) -> int:
        """How long entries and links stay, each from its own time."""
        ...

    async def noted(self, tenant: Tenant) -> Noted | None:
        """What was noted last when the chain was found whole."""
        ...

    async def note(self, tenant: Tenant, noted: Noted) -> None:
        """Note that the chain was found whole, once a day (UTC); the first of a day stays."""
        ...


class AuditSigner(Protocol):
    """Who signs checkpoints, with a key that never leaves it."""

    async def public_key(self) -> bytes:
        """DER (SubjectPublicKeyInfo) of a key on P-256."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256, DER; of at most 4,096 bytes."""
        ...
