"""Whether one tenant's session reaches what is another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.isolation import Part
    from service.domain.tenants import Tenant


class IsolationProbes(Protocol):
    """Harmless calls by which a boundary is tried; each changes nothing, and tells nothing."""

    async def reaches(self, by: Tenant, part: Part, of: Tenant) -> bool:
        """Whether the session of ``by`` was let in to a part of ``of``'s; its own it must be.

        Raises:
            UpstreamError: nobody knows: neither let in nor refused for want of a right.
        """
        ...
