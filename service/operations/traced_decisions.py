"""Decisions with a span around each, for services that are traced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.cedar.decision import Allowed
from service.ports.traces import SpanKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant
    from service.ports.authorizer import Authorizer
    from service.ports.traces import Traces


@dataclass(frozen=True, kw_only=True)
class TracedDecisions:
    """Answers ``ports.Authorizer``: what was asked, how it was decided, and by whom."""

    origin: Authorizer
    traces: Traces

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """See ``ports.Authorizer``."""
        with self.traces.span(f"authorize {request.action}", SpanKind.INTERNAL) as span:
            span.note("cedarfleet.tenant", principal.tenant.id)
            decision = await self.origin.decide(principal, request)
            span.note("cedarfleet.allowed", isinstance(decision, Allowed))
            span.note("cedarfleet.decided_by", str(decision.by))
            return decision

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        asked = requests[0].action if requests else "nothing"
        with self.traces.span(f"authorize each {asked}", SpanKind.INTERNAL) as span:
            span.note("cedarfleet.tenant", principal.tenant.id)
            decisions = await self.origin.decide_all(principal, requests)
            span.note("cedarfleet.asked", len(requests))
            allowed = sum(isinstance(one, Allowed) for one in decisions)
            span.note("cedarfleet.allowed", allowed)
            return decisions

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        asked = requests[0].action if requests else "nothing"
        with self.traces.span(f"authorize each {asked}", SpanKind.INTERNAL) as span:
            span.note("cedarfleet.tenant", tenant.id)
            decisions = await self.origin.decide_all_for(tenant, bearer, requests)
            span.note("cedarfleet.asked", len(requests))
            return decisions
