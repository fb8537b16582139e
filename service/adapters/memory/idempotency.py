"""What a twin needs to create each record once, and to be told how far it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from service.errors import IdempotencyMismatchError, UnavailableError

if TYPE_CHECKING:
    from service.domain.idempotency import IdempotencyKey

R = TypeVar("R")


@dataclass(kw_only=True)
class MemoryOnce(Generic[R]):
    """Records by tenant and id, and the idempotency keys that made them.

    ``can_settle = False`` makes storing a record's state fail.
    """

    records: dict[tuple[str, str], R] = field(default_factory=dict[tuple[str, str], R])
    keys: dict[tuple[str, str], tuple[str, str]] = field(
        default_factory=dict[tuple[str, str], tuple[str, str]]
    )
    can_settle: bool = True

    def create(self, tenant: str, made: str, record: R, key: IdempotencyKey | None) -> R:
        """Keep a record under its id, or answer what the key made before."""
        if key is not None:
            request, earlier = self.keys.setdefault(
                (key.tenant, key.digest), (key.request_digest, made)
            )
            if request != key.request_digest:
                raise IdempotencyMismatchError
            if earlier != made:
                return self.records[tenant, earlier]
        self.records[tenant, made] = record
        return record

    def settle(self, tenant: str, made: str, record: R) -> None:
        """Keep a record as it is by now."""
        if not self.can_settle:
            raise UnavailableError("the commands table")
        self.records[tenant, made] = record
