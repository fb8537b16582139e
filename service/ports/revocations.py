"""What is recorded of tokens that prove nothing any more, read together with which grants stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.revocations import NotBefore, RunTimeWord
    from service.domain.tenants import Tenant


class RevocationRecords(Protocol):
    """One row a subject, for as long as a token lives."""

    async def word(self, tenant: Tenant) -> RunTimeWord:
        """All of it, never as it was a moment ago."""
        ...

    async def revoke(self, tenant: Tenant, subject: str, not_before: NotBefore) -> None:
        """Refuse tokens of before; one that refuses more already stays."""
        ...

    async def settle(
        self, tenant: Tenant, subject: str, *, intent: NotBefore, not_before: NotBefore
    ) -> None:
        """Set an intent of one's own to what it became; what somebody else recorded stays."""
        ...
