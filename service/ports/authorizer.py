"""What the tenant's policies say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal


class Authorizer(Protocol):
    """The tenant's policies."""

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """What the tenant's policies say."""
        ...

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """What they say of each, in the same order."""
        ...
