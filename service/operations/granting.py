"""Brings grants into their tenants' policy stores and out of them, whoever is cut off in it.

Told before it is done, as a stack does: the fingerprint of a policy is written down before the
store has it, and taken away before the store loses it, so no copy of the policies is used that does
not agree (docs/adr/0025). What is revoked counts no more from that moment, whatever the store says
for some seconds more (docs/adr/0038). Before each change a message is sent; the worker looks after
some minutes, when no request runs any more, and does what was left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.cedar.granted import fingerprint
from service.domain.grants import Grant, GrantState
from service.domain.instants import milliseconds
from service.domain.work import UnreadableWorkError, Work, WorkKind
from service.errors import ConflictError, UpstreamError

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.revocations import Revocations
    from service.ports.grants import GrantedPolicies, GrantRecords
    from service.ports.work import Timers, WorkQueue

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
LOOK_AFTER: Final = timedelta(minutes=2)
"""In which every request that had begun a change is over."""
CLEANED_AFTER: Final = timedelta(minutes=10)
"""After the end of a grant: by then no clock thinks otherwise, and no store goes by it."""


@dataclass(frozen=True, kw_only=True)
class Granting:
    """The steps of a grant; each may be done twice."""

    records: GrantRecords
    policies: GrantedPolicies
    revocations: Revocations
    queue: WorkQueue
    timers: Timers
    clock: Clock

    async def look_later(self, tenant: Tenant, grant_id: str) -> None:
        """Have somebody look how a grant stands, when the change that comes now is over."""
        again = milliseconds(self.clock() + LOOK_AFTER)
        await self.queue.send([_look(tenant, grant_id, again=again)])

    async def stand(self, tenant: Tenant, grant: Grant) -> Grant:
        """Have the store hold the policy of a pending grant.

        Raises:
            ConflictError: the store has no room, or the grant was revoked meanwhile.
        """
        mark = fingerprint(grant.statement)
        await self.policies.tell(tenant, mark)
        self.revocations.forget(tenant)
        try:
            policy_id = await self.policies.put(tenant, grant)
        except ConflictError:
            await self.policies.end(tenant, mark, None)
            refused = replace(grant, state=GrantState.REFUSED, over_at=milliseconds(self.clock()))
            await self.records.settle(tenant, refused)
            raise
        standing = replace(grant, state=GrantState.ACTIVE, policy_id=policy_id)
        try:
            await self.records.settle(tenant, standing)
        except ConflictError:
            found = await self.records.read(tenant, grant.grant_id)
            if found is not None and found.state is GrantState.ACTIVE:
                return found  # another one was as quick, with the same policy
            # Fail closed: whoever revoked it meanwhile may have found no policy to remove.
            await self.policies.end(tenant, mark, policy_id)
            await self.policies.remove(tenant, standing)
            raise
        return replace(standing, revision=grant.revision + 1)

    async def revoke(self, tenant: Tenant, grant: Grant, *, by: str) -> Grant:
        """End a grant that stands, or is about to.

        Raises:
            ConflictError: somebody else changed it meanwhile.
        """
        if grant.state is not GrantState.REVOKING:
            await self.look_later(tenant, grant.grant_id)
            policy_id = grant.policy_id or await self.policies.find(tenant, grant) or ""
            revoking = replace(
                grant,
                state=GrantState.REVOKING,
                policy_id=policy_id,
                revoked_by=by,
                over_at=milliseconds(self.clock()),
            )
            await self.records.settle(tenant, revoking)
            grant = replace(revoking, revision=grant.revision + 1)
        await self.policies.end(tenant, fingerprint(grant.statement), grant.policy_id or None)
        # From here on it counts no more: in this process at once.
        self.revocations.forget(tenant)
        try:
            return await self._removed(tenant, grant)
        except UpstreamError:
            if not grant.policy_id:
                raise
            log.warning("grant.not_removed_yet", grant=grant.grant_id)
            return grant

    async def look(self, tenant: Tenant, work: Work) -> None:
        """Do what is left to do of a grant, or look again when its time has come.

        Raises:
            UnreadableWorkError: the work names no grant.
            ConflictError: somebody changed it meanwhile: the message comes again.
        """
        grant_id, again = work.about.get("grant", ""), work.about.get("again", "0")
        if not (wire.is_command_id(grant_id) and again.isdecimal()):
            raise UnreadableWorkError("the work names no grant")
        timer = f"{tenant.id}--grant-{grant_id}"
        grant = await self.records.read(tenant, grant_id)
        now = self.clock()
        begun = grant is None or grant.over_at == 0 or grant.state is GrantState.REVOKING
        if begun and milliseconds(now) < int(again):
            await self.timers.wake(timer, _instant(int(again)), work)
            return
        # Cut off before the record: nothing of it stands. Of a later release: not to be touched.
        if grant is None or grant.state is GrantState.UNKNOWN:
            return
        grant, due = await self._looked_at(tenant, grant, now)
        if due is None:
            await self.timers.forget(timer)
        else:
            await self.timers.wake(timer, due, _look(tenant, grant.grant_id))

    async def _looked_at(
        self, tenant: Tenant, grant: Grant, now: datetime
    ) -> tuple[Grant, datetime | None]:
        """The grant once all is done that is due, and when something is due again."""
        ends = _instant(grant.until)
        match grant.state:
            case GrantState.PENDING if now < ends:
                return await self.stand(tenant, grant), ends + CLEANED_AFTER
            case GrantState.PENDING | GrantState.ACTIVE:
                if now < ends + CLEANED_AFTER:
                    return grant, ends + CLEANED_AFTER
                await self.policies.end(tenant, fingerprint(grant.statement), None)
                await self.policies.remove(tenant, grant)
                ended = replace(grant, state=GrantState.ENDED, over_at=grant.until)
                await self.records.settle(tenant, ended)
                return ended, None
            case GrantState.REVOKING:
                await self.policies.end(
                    tenant, fingerprint(grant.statement), grant.policy_id or None
                )
                grant = await self._removed(tenant, grant)
            case _:
                await self.policies.remove(tenant, grant)
        over = _instant(grant.over_at) + CLEANED_AFTER
        if now < over and grant.state is GrantState.REVOKED:
            return grant, over
        if grant.policy_id:
            await self.policies.forget(tenant, grant.policy_id)
        return grant, None

    async def _removed(self, tenant: Tenant, grant: Grant) -> Grant:
        await self.policies.remove(tenant, grant)
        revoked = replace(grant, state=GrantState.REVOKED)
        await self.records.settle(tenant, revoked)
        return replace(revoked, revision=grant.revision + 1)


def _look(tenant: Tenant, grant_id: str, *, again: int = 0) -> Work:
    about = {"grant": grant_id, **({"again": str(again)} if again else {})}
    return Work(kind=WorkKind.LOOK_AT_GRANT, issuer=tenant.issuer, tenant=tenant.id, about=about)


def _instant(since_epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(since_epoch_ms / 1000, UTC)
