"""Decides reads by a copy of the tenant's policies, and whatever changes something by its store."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.cedar.binding import unbind_uid
from service.cedar.decision import Allowed, Decider, Denied, Refusal
from service.cedar.entities import GROUP
from service.cedar.request import TokenBearer, of_bearer
from service.domain.permissions import READING
from service.errors import CedarfleetError, UnavailableError
from service.operations.proposed_policies import changed_copy
from service.ports.authorizer import About, Considered
from service.ports.metrics import DECISIONS, POLICY_DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from service.cedar.compiled import CompiledPolicies
    from service.cedar.decision import Decision, Evaluation
    from service.cedar.explanation import Explained
    from service.cedar.request import AuthorizationRequest
    from service.cedar.values import EntityUid
    from service.domain.devices import Device
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant
    from service.operations.policy_copies import PolicyCopies
    from service.operations.revocations import Revocations
    from service.ports.authorizer import Authorizer, Proposed
    from service.ports.metrics import Metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_AT_ONCE: Final = 8  # samples of all tenants
_SETTLE_SECONDS: Final = 10.0  # "a few seconds": Verified Permissions API reference, CreatePolicy


class Decisions:
    """Answers ``ports.Authorizer`` and ``ports.Adviser``; no decision is ever used again.

    Attributes:
        copies: as given.

    Args:
        store: the tenants' policy stores.
        copies: of their policies.
        metrics: is told who decided what, and of differences.
        revocations: tells which grants were revoked.
        sample: the share of decisions by a copy that the store is asked for too, beside the answer.
        chance: draws between 0 and 1.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        store: Authorizer,
        copies: PolicyCopies,
        metrics: Metrics,
        revocations: Revocations,
        *,
        sample: float,
        chance: Callable[[], float] = random.random,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self.copies = copies
        self._metrics = metrics
        self._revocations = revocations
        self._sample = sample
        self._chance = chance
        self._pause = pause
        self._tasks: set[asyncio.Task[None]] = set()

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """See ``ports.Authorizer``."""
        decisions = await self._decided(principal, [request]) or (
            await self._store.decide(principal, request),
        )
        [decision] = await self._standing(principal.tenant, [request], decisions)
        self._count([request], [decision])
        return decision

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        decisions = await self._decided(principal, requests) or await self._store.decide_all(
            principal, requests
        )
        decisions = await self._standing(principal.tenant, requests, decisions)
        self._count(requests, decisions)
        return decisions

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``; the store is asked, whatever it is."""
        decisions = await self._store.decide_all_for(tenant, bearer, requests)
        self._count(requests, decisions)
        return decisions

    async def advise(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        copy = await self.copies.good(principal.tenant) if requests else None
        decisions = None if copy is None else _by_copy(copy, principal, requests)
        decisions = decisions or await self._store.decide_all(principal, requests)
        return await self._of_word(principal.tenant, decisions)

    async def advise_on_devices(
        self,
        principal: Principal,
        action: Permission,
        devices: Sequence[Device],
        ask: Callable[[Device], AuthorizationRequest],
    ) -> tuple[Decision, ...]:
        """See ``ports.Adviser``."""
        copy = await self.copies.good(principal.tenant) if devices else None
        if copy is not None:
            # No decision is used again: these are one question each, put once for all who are so.
            reads, parents = copy.reads(action), principal.tenant.groups
            kinds = [device.as_read(reads, parents) for device in devices]
            first: dict[tuple[object, ...], Device] = {}
            for kind, device in zip(kinds, devices, strict=True):
                first.setdefault(kind, device)
            requests = [ask(device) for device in first.values()]
            decided = _by_copy(copy, principal, requests)
            if decided is not None:
                standing = await self._of_word(principal.tenant, decided)
                if action in READING:  # what a list shows by it is a read as any other
                    self._count(requests, standing)
                    self._sometimes_compare(principal, requests[0], decided[0])
                by_kind = dict(zip(first, standing, strict=True))
                return tuple(by_kind[kind] for kind in kinds)
        decided = await self._store.decide_all(principal, [ask(device) for device in devices])
        return await self._of_word(principal.tenant, decided)

    async def advise_about(
        self, tenant: Tenant, request: AuthorizationRequest, people: Sequence[TokenBearer]
    ) -> About:
        """See ``ports.Adviser``."""
        copy = await self.copies.good(tenant)
        # Fail closed: nobody is told who may do what by policies of a while ago.
        if copy is None:
            raise UnavailableError("the copy of the tenant's policies")
        prefix = f"{tenant.pool_id}|"
        groups = sorted(
            uid.id.removeprefix(prefix)
            for uid in copy.named(request.action)
            if uid.type == GROUP and uid.id.startswith(prefix)
        )
        bearers = [*(TokenBearer(groups=(group,)) for group in groups), *people]
        try:
            evaluations = [
                copy.evaluate(
                    request.with_bearer(
                        replace(
                            bearer,
                            claims={
                                name: text
                                for name, text in bearer.claims.items()
                                if name in copy.user_attributes
                            },
                        ),
                        pool_id=tenant.pool_id,
                    )
                )
                for bearer in bearers
            ]
        except ValueError as error:
            log.warning("decisions.not_by_copy", problem=type(error).__name__)
            raise UnavailableError("the copy of the tenant's policies") from error
        decided = await self._of_word(tenant, named(tenant, evaluations))
        return About(groups=dict(zip(groups, decided, strict=False)), people=decided[len(groups) :])

    async def approving_groups(
        self, tenant: Tenant, actions: Iterable[Permission]
    ) -> tuple[str, ...]:
        """See ``ports.Adviser``."""
        copy = await self.copies.good(tenant)
        return () if copy is None else copy.texts_beside("approver_groups", actions)

    async def consider(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        *,
        bearer: TokenBearer | None = None,
        proposed: Proposed | None = None,
    ) -> Considered:
        """See ``ports.Adviser``."""
        tenant = principal.tenant
        copy = await self.copies.good(tenant)
        # Fail closed: nobody is told why by policies of a while ago.
        if copy is None:
            raise UnavailableError("the copy of the tenant's policies")
        if proposed is not None:
            copy = await asyncio.to_thread(changed_copy, copy, tenant, proposed)
        considered = _considered(copy, principal, request, bearer)
        ended = (await self._revocations.word(tenant)).ended
        if considered is None or not ended.isdisjoint(considered.decision.policies):
            raise UnavailableError("the copy of the tenant's policies")
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
        try:
            copy = await self.copies.good(principal.tenant)
        # A refusal is a refusal, whether or not anybody can say why.
        except CedarfleetError:
            return ()
        if copy is None:
            return ()
        if view is not None:
            seen = _by_copy(copy, principal, [view])
            # Fail closed: what may not be viewed is not told of.
            try:
                seen = seen and await self._of_word(principal.tenant, seen)
            except CedarfleetError:
                return ()
            if not seen or not isinstance(seen[0], Allowed):
                return ()
        considered = _considered(copy, principal, request, None)
        # Fail closed: of another decision than the store's nothing is told.
        if considered is None or differ(considered.decision, denied):
            return ()
        return considered.explained

    def _count(
        self, requests: Sequence[AuthorizationRequest], decisions: Sequence[Decision]
    ) -> None:
        for request, decision in zip(requests, decisions, strict=False):
            outcome = "allowed" if isinstance(decision, Allowed) else "denied"
            self._metrics.count(DECISIONS, request.action, outcome, decision.by)

    async def prepare(self, tenant: Tenant) -> bool:
        """Whether reads of the tenant are decided by a copy, now that one was asked for."""
        return await self.copies.confirm(tenant) is not None

    async def settled(self) -> None:
        """Return once nothing is done in the background."""
        await self.copies.settled()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """End what is done in the background."""
        for task in self._tasks:
            task.cancel()
        await self.copies.close()
        await self.settled()

    async def _decided(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...] | None:
        """What the copy says of all requests, or ``None``: the store is to be asked."""
        # Fail closed: what changes something is decided by what stands in the store now.
        if not requests or not all(request.action in READING for request in requests):
            return None
        copy = await self.copies.good(principal.tenant)
        decisions = None if copy is None else _by_copy(copy, principal, requests)
        if decisions:
            self._sometimes_compare(principal, requests[0], decisions[0])
        return decisions

    async def _of_word(self, tenant: Tenant, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
        """The decisions without grants that were revoked."""
        ended = (await self._revocations.word(tenant)).ended
        return tuple(without(decision, ended) for decision in decisions)

    async def _standing(
        self,
        tenant: Tenant,
        requests: Sequence[AuthorizationRequest],
        decisions: Sequence[Decision],
    ) -> tuple[Decision, ...]:
        """The same, of rows of now for what changes something and rests on no policy of the stack.

        The store itself may go by a revoked grant for a while: "It can take a few seconds for a new
        or changed element to propagate through the service" (Verified Permissions API reference,
        CreatePolicy).
        """
        changes = any(request.action not in READING for request in requests)
        stacks = tenant.policy_names.values()
        if changes and any(
            isinstance(decision, Allowed) and not any(name in stacks for name in decision.policies)
            for decision in decisions
        ):
            await self._revocations.anew(tenant)
        return await self._of_word(tenant, decisions)

    def _sometimes_compare(
        self, principal: Principal, request: AuthorizationRequest, decision: Decision
    ) -> None:
        if len(self._tasks) < _AT_ONCE and self._chance() < self._sample:
            task = deadline.shared(self._compare(principal, request, decision))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _compare(
        self, principal: Principal, request: AuthorizationRequest, decision: Decision
    ) -> None:
        """Ask the store too; a difference that stays while nothing changes rings an alarm."""
        try:
            if not differ(decision, await self._store.decide(principal, request)):
                return
            # The store decides by a change some seconds after it has told of it.
            await self._pause(_SETTLE_SECONDS)
            copy = await self.copies.confirm(principal.tenant)
            ours = None if copy is None else _by_copy(copy, principal, [request])
            theirs = await self._store.decide(principal, request)
        # E.g. a token that ended meanwhile: no decision, so no difference.
        except CedarfleetError as error:
            log.warning("decisions.not_compared", problem=type(error).__name__)
            return
        if ours and differ(ours[0], theirs):
            self._metrics.count(POLICY_DIFFERENCES, "decision")
            log.error(
                "decisions.differ",
                action=request.action,
                resource=str(request.resource),
                allowed_by_copy=isinstance(ours[0], Allowed),
                allowed_by_store=isinstance(theirs, Allowed),
                policies_of_copy=ours[0].policies,
                policies_of_store=theirs.policies,
            )
            # Fail closed: nobody knows which of the two is right, and the store is asked.
            self.copies.distrust(principal.tenant)


def without(decision: Decision, ended: frozenset[str]) -> Decision:
    """A decision as it would be without permits that ended; a forbid stays one."""
    if not ended or not isinstance(decision, Allowed):
        return decision
    left = tuple(name for name in decision.policies if name not in ended)
    if left:
        return replace(decision, policies=left)
    # Fail closed: whatever else may permit it, the store has not said.
    return Denied(reason=Refusal.NOT_PERMITTED, by=decision.by)


def differ(one: Decision, other: Decision) -> bool:
    """Whether two decisions on one request are not the same.

    Which policies a refusal names that is one because a policy failed, AWS does not say.
    """
    failed = Refusal.EVALUATION_FAILED
    if (
        isinstance(one, Denied)
        and isinstance(other, Denied)
        and failed in (one.reason, other.reason)
    ):
        return False
    return one != other


def _by_copy(
    copy: CompiledPolicies, principal: Principal, requests: Sequence[AuthorizationRequest]
) -> tuple[Decision, ...] | None:
    tenant = principal.tenant
    try:
        bearer = principal.bearer(copy.user_attributes)
        asked = of_bearer(requests, bearer, pool_id=tenant.pool_id)
        evaluations = copy.evaluate_all(asked)
    except ValueError as error:
        # Not the words: they may quote what stands in a token.
        log.warning("decisions.not_by_copy", problem=type(error).__name__)
        return None
    return named(tenant, evaluations)


def _considered(
    copy: CompiledPolicies,
    principal: Principal,
    request: AuthorizationRequest,
    bearer: TokenBearer | None,
) -> Considered | None:
    tenant = principal.tenant

    def name(uid: EntityUid) -> EntityUid:
        return unbind_uid(uid, tenant=tenant.id, pool_id=tenant.pool_id)

    try:
        who = bearer or principal.bearer(copy.user_attributes)
        known = replace(
            who,
            claims={
                name: text for name, text in who.claims.items() if name in copy.user_attributes
            },
        )
        asked = request.with_bearer(known, pool_id=tenant.pool_id)
        evaluation = copy.evaluate(asked)
        explained = copy.explain(asked, evaluation, name=name)
    except ValueError as error:
        log.warning("decisions.not_explained", problem=type(error).__name__)
        return None
    (decision,) = named(tenant, [evaluation])
    names = tenant.policy_names
    return Considered(
        decision=decision,
        explained=tuple(
            replace(one, policy=names.get(one.policy, one.policy)) for one in explained
        ),
    )


def named(tenant: Tenant, evaluations: Sequence[Evaluation]) -> tuple[Decision, ...]:
    """The decisions, by the names of our files."""
    names = tenant.policy_names
    return tuple(
        replace(
            one.decision,
            policies=tuple(sorted(names.get(name, name) for name in one.decision.policies)),
            by=Decider.COPY,
        )
        for one in evaluations
    )
