"""What commands and downloads have in common: created once, then settled with how far they came."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog

from service import deadline
from service.domain.idempotency import IdempotencyKey
from service.domain.instants import milliseconds
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.identities import Principal
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.ports.idempotency import OnceRecords

SETTLE_SECONDS: Final = 3.0
"""That writing down how far a record came may take beyond its request's time."""
R = TypeVar("R")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Once(Generic[R]):
    """Creates records of one noun, each once, and settles them.

    Attributes:
        noun: one key of a caller stands for one request of each noun.
        unsettled: the log's event for a record whose state could not be stored.
    """

    noun: str
    unsettled: str
    records: OnceRecords[R]
    clock: Clock

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return milliseconds(self.clock())

    async def create(
        self, principal: Principal, record: R, *, key: str | None, request: Sequence[object]
    ) -> R:
        """Store a new record; answer it, or the one that this caller's key made before.

        Args:
            principal: whose key it is.
            record: what is stored if the key made nothing before.
            key: the caller's, or ``None``: then the record is new.
            request: all that the caller asked for; the key stands for this and nothing else.

        Raises:
            IdempotencyMismatchError: the key stands for another request.
        """
        tenant = principal.tenant
        bound = None
        if key is not None:
            bound = IdempotencyKey.of(
                tenant=tenant.id,
                principal=principal.entity_id,
                key=f"{self.noun} {key}",
                request=json.dumps(request, sort_keys=True),
            )
        return await self.records.create(tenant, record, bound)

    async def settle(self, tenant: Tenant, record: R, **named: str) -> None:
        """Store how far a record came, if that can be stored.

        What the caller is answered, and what device or job say by themselves, is true without it.

        Args:
            tenant: whose record it is.
            record: with its new state.
            named: what names the record in the log, if it stays unsettled.
        """
        try:
            with deadline.at_least(SETTLE_SECONDS):
                await self.records.settle(tenant, record)
        except UpstreamError:
            log.warning(self.unsettled, **named)
