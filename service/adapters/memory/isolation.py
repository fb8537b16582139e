"""Twin of the calls by which the boundary between tenants is tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.domain.isolation import Part
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryIsolationProbes:
    """Lets each tenant in to its own, and to nobody else's but what is ``open``.

    Attributes:
        open: by whom, to which part, of whom.
        shut: parts to which nobody is let in, though it is their own.
        away: parts that do not answer.
    """

    open: set[tuple[str, Part, str]] = field(default_factory=set[tuple[str, "Part", str]])
    shut: set[Part] = field(default_factory=set["Part"])
    away: set[Part] = field(default_factory=set["Part"])

    async def reaches(self, by: Tenant, part: Part, of: Tenant) -> bool:
        if part in self.away:
            raise UnavailableError("the boundary between tenants")
        if part in self.shut:
            return False
        return by.id == of.id or (by.id, part, of.id) in self.open
