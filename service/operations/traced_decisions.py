"""Decisions, and what people ask beforehand, with a span around each in traced services."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.cedar.decision import Allowed
from service.ports.traces import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from service.cedar.decision import Decision, Denied
    from service.cedar.explanation import Explained
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant
    from service.ports.authorizer import About, Adviser, Authorizer, Considered, Proposed
    from service.ports.traces import Span, Traces


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


@dataclass(frozen=True, kw_only=True)
class TracedAdvice:
    """Answers ``ports.Adviser``: what people asked beforehand, which is decided as what they do."""

    origin: Adviser
    traces: Traces

    async def advise(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        asked = requests[0].action if requests else "nothing"
        with self._span(f"advise on {asked}", principal.tenant) as span:
            decisions = await self.origin.advise(principal, requests)
            _note(span, decisions)
            return decisions

    async def advise_on_devices(
        self,
        principal: Principal,
        action: Permission,
        devices: Sequence[Device],
        ask: Callable[[Device], AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        with self._span(f"advise on {action}", principal.tenant) as span:
            decisions = await self.origin.advise_on_devices(principal, action, devices, ask)
            _note(span, decisions)
            return decisions

    async def advise_about(
        self, tenant: Tenant, request: AuthorizationRequest, people: Sequence[TokenBearer]
    ) -> About:
        """See ``ports.Adviser``."""
        with self._span(f"advise about {request.action}", tenant) as span:
            about = await self.origin.advise_about(tenant, request, people)
            _note(span, [*about.groups.values(), *about.people])
            return about

    async def approving_groups(
        self, tenant: Tenant, actions: Iterable[Permission]
    ) -> tuple[str, ...]:
        """See ``ports.Adviser``; nothing is decided."""
        return await self.origin.approving_groups(tenant, actions)

    async def consider(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        *,
        bearer: TokenBearer | None = None,
        proposed: Proposed | None = None,
    ) -> Considered:
        """See ``ports.Adviser``."""
        with self._span(f"consider {request.action}", principal.tenant) as span:
            considered = await self.origin.consider(
                principal, request, bearer=bearer, proposed=proposed
            )
            _note(span, [considered.decision])
            return considered

    async def explain(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        denied: Denied,
        *,
        view: AuthorizationRequest | None,
    ) -> tuple[Explained, ...]:
        """See ``ports.Adviser``."""
        with self._span(f"explain {request.action}", principal.tenant) as span:
            found = await self.origin.explain(principal, request, denied, view=view)
            # Never which: the terms have values of a device, and a span leaves the platform.
            span.note("cedarfleet.explained", len(found))
            return found

    @contextmanager
    def _span(self, name: str, tenant: Tenant) -> Generator[Span]:
        with self.traces.span(name, SpanKind.INTERNAL) as span:
            span.note("cedarfleet.tenant", tenant.id)
            yield span


def _note(span: Span, decisions: Sequence[Decision]) -> None:
    span.note("cedarfleet.asked", len(decisions))
    span.note("cedarfleet.allowed", sum(isinstance(one, Allowed) for one in decisions))
