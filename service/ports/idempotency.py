"""Records that are created once, and told afterwards how far they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant

R = TypeVar("R")


class OnceRecords(Protocol[R]):
    """What the records of commands and of downloads have in common."""

    async def create(self, tenant: Tenant, record: R, key: IdempotencyKey | None) -> R:
        """Store a new record, durably; answer it, or the one that the same key made before.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
        """
        ...

    async def settle(self, tenant: Tenant, record: R) -> None:
        """Store the record's state and failure."""
        ...
