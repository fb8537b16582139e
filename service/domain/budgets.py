"""A bucket of tokens that many processes share, and what its takers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.domain.rates import Rate
    from service.domain.tenants import Tenant


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket.

    Attributes:
        name: of what is taken, e.g. ``requests``.
        rate: of now; another process may still know another one.
        tenant: whose it is; ``None`` for what the whole account shares.
    """

    name: str
    rate: Rate
    tenant: Tenant | None = None

    @property
    def key(self) -> str:
        """Of its row: in the tenant's own partitions, or where no tenant's role reaches."""
        owner = f"{self.tenant.id}--" if self.tenant else ""
        return f"{owner}budget#{self.name}"


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What was taken of a bucket.

    Attributes:
        tokens: as many as asked for, or as there were; 0 of an empty bucket.
        full_at: microseconds since the epoch, by the taker's clock.
    """

    tokens: int
    full_at: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a caller is told of a bucket.

    Attributes:
        bucket: of which.
        granted: whether the caller got its token.
        remaining: tokens left, as far as this process knows.
        wait_seconds: until the next one may be there; 0 if there are some.
    """

    bucket: Bucket
    granted: bool
    remaining: int
    wait_seconds: float
