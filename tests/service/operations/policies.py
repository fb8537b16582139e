"""Policies that a test writes by their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from service.cedar.decision import Decision, Denied
    from service.cedar.explanation import Explained
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant
    from service.ports.authorizer import About, Authorizer, Considered, Proposed


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

    async def decide_all_for(
        self,
        tenant: Tenant,  # noqa: ARG002 - the port's
        bearer: TokenBearer,  # noqa: ARG002 - the port's
        requests: Sequence[AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """All answers."""
        self.asked += requests
        return tuple(self.answers)


@dataclass
class Advice:
    """Advises by asking an authorizer of each.

    Attributes:
        groups: what policies ask of who approves.
    """

    authorizer: Authorizer
    groups: tuple[str, ...] = ()

    async def advise(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        return await self.authorizer.decide_all(principal, requests)

    async def advise_on_devices(
        self,
        principal: Principal,
        action: Permission,  # noqa: ARG002 - the port's
        devices: Sequence[Device],
        ask: Callable[[Device], AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        return await self.authorizer.decide_all(principal, [ask(device) for device in devices])

    async def advise_about(
        self, tenant: Tenant, request: AuthorizationRequest, people: Sequence[TokenBearer]
    ) -> About:
        """See ``ports.Adviser``."""
        raise NotImplementedError(tenant, request, people)

    async def approving_groups(
        self,
        tenant: Tenant,  # noqa: ARG002 - the port's
        actions: Iterable[Permission],  # noqa: ARG002 - the port's
    ) -> tuple[str, ...]:
        """Those that are given."""
        return self.groups

    async def consider(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        *,
        bearer: TokenBearer | None = None,
        proposed: Proposed | None = None,
    ) -> Considered:
        """See ``ports.Adviser``."""
        raise NotImplementedError(principal, request, bearer, proposed)

    async def explain(
        self,
        principal: Principal,  # noqa: ARG002 - the port's
        request: AuthorizationRequest,  # noqa: ARG002 - the port's
        denied: Denied,  # noqa: ARG002 - the port's
        *,
        view: AuthorizationRequest | None,  # noqa: ARG002 - the port's
    ) -> tuple[Explained, ...]:
        """Nobody can say why."""
        return ()
