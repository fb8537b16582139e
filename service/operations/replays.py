"""Proposed policies, asked what was asked of the tenant's own: which recorded decisions would flip.

Who may read the trail may ask: it says of each decision more than is answered here, so that nobody
learns of a device or person what the trail does not tell them. Nothing proposed is stored.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.cedar.decision import Allowed
from service.cedar.entities import tenant_entity
from service.cedar.recorded import NotRecordedError, Recorded, recorded
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.errors import UnavailableError
from service.operations.audit_reading import viewed
from service.operations.decisions import named, without
from service.operations.proposed_policies import changed_copy
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from service.cedar.compiled import CompiledPolicies
    from service.cedar.decision import Decision
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.policy_copies import PolicyCopies
    from service.operations.revocations import Revocations
    from service.ports.audit import AuditEntries, PersonKeys
    from service.ports.authorizer import Proposed

MOST_DECISIONS: Final = 500
_PAGE: Final = 100  # entries
_SPAN_MS: Final = 7 * 24 * 3600 * 1000
_IN_ONE_GO: Final = 20  # evaluations, some milliseconds, before others have their turn


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A recorded decision that the proposed policies would turn.

    Attributes:
        recorded: what was asked, and what was said then.
        now: what the tenant's policies say to it today.
        then: what they would say.
    """

    recorded: Recorded
    now: Decision
    then: Decision


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of the recorded decisions.

    Attributes:
        asked: how many were asked again.
        drifted: of these, how many today's policies decide otherwise than they were, without the
            proposal: e.g. by a grant that has ended since.
        unreadable: entries that do not say what was asked, or whose person was forgotten.
        flips: the newest first.
    """

    asked: int
    drifted: int
    unreadable: int
    flips: tuple[Flip, ...]


@dataclass(frozen=True, kw_only=True)
class Replays:
    """The trail of the caller's tenant, asked again by a copy of its policies."""

    entries: AuditEntries
    people: PersonKeys
    copies: PolicyCopies
    revocations: Revocations
    clock: Clock

    async def replay(self, access: Access, proposed: Proposed, *, most: int) -> Replay:
        """Which of the last decisions, of seven days at most, would come out otherwise.

        Raises:
            PermissionDeniedError: the caller may not read the trail.
            InvalidRequestError: a proposed policy is none that the schema knows.
            UnavailableError: there is no good copy of the tenant's policies, or the trail does not
                answer.
        """
        tenant = access.principal.tenant
        await access.require(
            Permission.VIEW_AUDIT, (tenant_entity(tenant.id),), Purpose(subject="replay")
        )
        copy = await self.copies.good(tenant)
        # Fail closed: nobody is told what would flip by policies of a while ago.
        if copy is None:
            raise UnavailableError("the copy of the tenant's policies")
        changed = await asyncio.to_thread(changed_copy, copy, tenant, proposed)
        ended = (await self.revocations.word(tenant)).ended
        asked = drifted = unreadable = 0
        flips: list[Flip] = []
        async for found in self._decisions(tenant, most=most):
            if found is None:
                unreadable += 1
                continue
            try:
                now, then = (without(decided(one, tenant, found), ended) for one in (copy, changed))
            except ValueError:
                # What was asked then, today's schema does not know.
                unreadable += 1
                continue
            asked += 1
            drifted += isinstance(now, Allowed) is not found.allowed
            if isinstance(now, Allowed) is not isinstance(then, Allowed):
                flips.append(Flip(recorded=found, now=now, then=then))
            if asked % _IN_ONE_GO == 0:
                await asyncio.sleep(0)
        return Replay(asked=asked, drifted=drifted, unreadable=unreadable, flips=tuple(flips))

    async def _decisions(self, tenant: Tenant, *, most: int) -> AsyncIterator[Recorded | None]:
        """The last decisions of the trail; ``None``: one that nobody can ask again."""
        until = milliseconds(self.clock())
        keys = await self.people.all(tenant)
        left, before = most, None
        while left > 0:
            found, before = await self.entries.newest(
                tenant, since=until - _SPAN_MS, until=until, before=before, most=_PAGE
            )
            for entry in found:
                view = viewed(entry, keys)
                # What a device did is no decision of policies.
                if view.said.get("kind") != "decision" or left == 0:
                    continue
                left -= 1
                try:
                    yield recorded(view.document)
                except NotRecordedError:
                    yield None
            if before is None or not found:
                return


def decided(copy: CompiledPolicies, tenant: Tenant, found: Recorded) -> Decision:
    """What a copy says to a recorded question.

    Raises:
        ValueError: the question does not fit its schema.
    """
    asked = found.asked(copy.user_attributes, pool_id=tenant.pool_id)
    (decision,) = named(tenant, [copy.evaluate(asked)])
    return decision
