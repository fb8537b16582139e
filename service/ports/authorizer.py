"""What the tenant's policies say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from service.cedar.decision import Decision, Denied
    from service.cedar.explanation import Explained
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant


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

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """What the store says of each for somebody who is not here with a token.

        Args:
            tenant: whose policies.
            bearer: the person, as the user pool shows them now, or the machine.
            requests: in whose principal's place the bearer is put; their context gets what the
                store makes of a machine's token.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class About:
    """What the policies say of others than the caller.

    Attributes:
        groups: of each group that they name, of somebody in it alone.
        people: of each person, in their order.
    """

    groups: Mapping[str, Decision]
    people: tuple[Decision, ...]


@dataclass(frozen=True, kw_only=True)
class Considered:
    """What the policies say, and why.

    Attributes:
        explained: the policies that decided, and permits that nearly said yes.
    """

    decision: Decision
    explained: tuple[Explained, ...]


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """Policies as somebody would have them; nobody stores them.

    Attributes:
        added: name -> statement, as in a policy file; one that bears the name of a policy of the
            tenant stands in its place.
        without: names of policies of the tenant that are left out.
    """

    added: Mapping[str, str]
    without: frozenset[str] = frozenset()


class Adviser(Protocol):
    """What the policies say of much at once: what a list shows, and what people may know before.

    Nobody changes anything by it: that is asked of the `Authorizer` at the moment of the change.
    """

    async def advise(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """What they say of each, in the same order."""
        ...

    async def advise_on_devices(
        self,
        principal: Principal,
        action: Permission,
        devices: Sequence[Device],
        ask: Callable[[Device], AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """What they say of each device, in the same order; of devices that are alike, once.

        Args:
            principal: who asks.
            action: one for all.
            devices: on which policies can decide.
            ask: the request on one of them, which differs from the others' in the device alone.
        """
        ...

    async def advise_about(
        self, tenant: Tenant, request: AuthorizationRequest, people: Sequence[TokenBearer]
    ) -> About:
        """What they say of others in the caller's place, as far as a copy of the policies knows.

        Args:
            tenant: whose policies.
            request: of the caller, whose place is taken.
            people: as their tokens would tell of them.

        Raises:
            UnavailableError: there is no good copy; no token of theirs is at hand to ask the store.
        """
        ...

    async def approving_groups(
        self, tenant: Tenant, actions: Iterable[Permission]
    ) -> tuple[str, ...]:
        """Groups that policies of these actions ask of who approved, as far as a copy knows them.

        None without a good copy: nobody then plans on an approval that may not be enough.
        """
        ...

    async def consider(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        *,
        bearer: TokenBearer | None = None,
        proposed: Proposed | None = None,
    ) -> Considered:
        """What they say, and why, as far as a copy of the policies knows.

        Args:
            principal: who asks.
            request: of the caller.
            bearer: who takes the caller's place in it.
            proposed: policies that count as if they were the tenant's.

        Raises:
            InvalidRequestError: a proposed policy is none that the schema knows.
            UnavailableError: there is no good copy.
        """
        ...

    async def explain(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        denied: Denied,
        *,
        view: AuthorizationRequest | None,
    ) -> tuple[Explained, ...]:
        """Why a request was denied; nothing if nobody can say, or not to this caller.

        Args:
            principal: who was refused.
            request: what was.
            denied: how.
            view: must be allowed too, or the caller would learn facts of what they may not see.
        """
        ...
