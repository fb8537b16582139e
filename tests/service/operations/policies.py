"""Policies that a test writes by their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal


@dataclass
class Policies:
    """Answers with what it is given, and keeps what it was asked."""

    answers: list[Decision]
    asked: list[AuthorizationRequest] = field(default_factory=list["AuthorizationRequest"])

    async def decide(
        self,
        principal: Principal,  # noqa: ARG002 - the port's
        request: AuthorizationRequest,
    ) -> Decision:
        """The first answer."""
        self.asked.append(request)
        return self.answers[0]

    async def decide_all(
        self,
        principal: Principal,  # noqa: ARG002 - the port's
        requests: Sequence[AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """All answers."""
        self.asked += requests
        return tuple(self.answers)
