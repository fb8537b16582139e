"""Start exactly what was planned; approve, pause and resume it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from service.domain.downloads import DownloadRecord, DownloadRecordState, jobs_of
from service.domain.identities import TokenUse
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.plans import Verdict, changes
from service.domain.rollouts import PlannedRollout
from service.errors import ConflictError, PlanStaleError
from service.operations.download_lists import view_of
from service.operations.downloads import advance, deliverable, delivered
from service.operations.once import Once
from service.operations.plans import PlanRequest
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.plans import Plan
    from service.domain.tenants import Tenant
    from service.operations.approvals import Approvals
    from service.operations.authorization import Access
    from service.operations.download_lists import DownloadView
    from service.operations.downloads import Downloads
    from service.operations.plans import Planning, Seen
    from service.ports.downloads import Deliveries, DownloadRecords
    from service.ports.work import WorkQueue

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class PlannedDownloads:
    """Downloads that were planned; each bears the id of its plan, and is started once."""

    planning: Planning
    approvals: Approvals
    downloads: Downloads
    records: DownloadRecords
    deliveries: Deliveries
    queue: WorkQueue
    clock: Clock

    async def start(self, access: Access, plan_id: str) -> DownloadRecord:
        """Start exactly what a plan says, or nothing; asked again it is the same download.

        Raises:
            NotFoundError: the caller made no such plan, or its time is over.
            PlanStaleError: something that it saw is not so any more.
            PermissionDeniedError: not allowed, or not any more.
            ConflictError: no device is allowed, or the caller is a machine.
            DownloadNotStartedError: recorded as failed; ask again.
        """
        plan = await self.planning.find(access, plan_id)
        # Fail closed: nobody could ask the user pool for a machine when its waves begin.
        if access.principal.token_use is not TokenUse.ID:
            raise ConflictError("a plan is started by a person, who is asked for at each wave")
        seen = await self.planning.look(
            access,
            PlanRequest(
                target_kind=plan.target_kind,
                target=plan.target,
                artifact=plan.artifact.name,
                # The newest of a name may be another by now: then the plan is stale.
                file_id=plan.asked_file,
                shape=plan.shape,
                emergency_reason=plan.emergency_reason,
                selection=plan.selection,
            ),
        )
        started = await self.records.read(seen.tenant, plan.plan_id)
        if started is None and seen.digest != plan.digest:
            before = await self.planning.plans.devices(seen.tenant, plan)
            raise PlanStaleError(
                plan.plan_id, changes((plan.artifact, before), (seen.artifact, seen.devices))
            )
        decision = await self._require(access, seen, plan_id)
        if started is not None:
            return await self._begun(seen.tenant, started)
        if not plan.allowed:
            raise ConflictError(
                f"plan `{plan.plan_id}` is for no device: all are denied or skipped"
            )
        record = replace(self._record(access, plan, seen), decision=decision)
        allowed = [one.id for one in seen.devices if one.verdict is Verdict.ALLOWED]
        # Before the record, which says that they are all there.
        await self.deliveries.plan(seen.tenant, record, tuple(jobs_of(allowed, record.waves)))
        once: Once[DownloadRecord] = Once(
            noun="download",
            unsettled="download.settle_failed",
            records=self.records,
            clock=self.clock,
        )
        stored = await once.create(
            access.principal, record, key=f"plan {plan.plan_id}", request=(plan.digest,)
        )
        return await self._begun(seen.tenant, stored)

    async def approve(self, access: Access, download_id: str) -> DownloadView:
        """Give the second person's word; asked again by the same person it is fine.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
            PermissionDeniedError: not allowed; nobody approves what is their own.
            ConflictError: nobody asks for an approval, or not for that of somebody in these groups.
        """
        record, target, tenant = await self.downloads.find(access.principal.tenant, download_id)
        purpose = Purpose(
            artifact=delivered(record),
            reach=record.rollout.reach if record.rollout else None,
            planned=record.rollout is not None,
            requester=record.created_by,
            about={"download": download_id},
        )
        await access.require(Permission.APPROVE_DOWNLOAD, target.entities(tenant.groups), purpose)
        by, groups = access.principal.entity_id, access.principal.groups
        if record.awaits_approval:
            await self.approvals.check_enough(access, tenant, record, target)
        if record.awaits_approval and await self.records.approve(
            tenant, record, by=by, groups=groups
        ):
            log.info("download.approved", download=record.name)
            record = replace(record, approved_by=by, approver_groups=groups)
        else:
            record, _, _ = await self.downloads.find(tenant, download_id)
        if record.approved_by != by:
            raise ConflictError(f"download `{download_id}` asks for no approval, or has one")
        return await self._told(tenant, record)

    async def pause(self, access: Access, download_id: str) -> DownloadView:
        """Have no further job made until it is resumed; devices that have theirs go on.

        Raises:
            NotFoundError: the tenant has no such download, or its target is gone.
            PermissionDeniedError: not allowed.
            ConflictError: it has ended, or was not planned.
        """
        return await self._hold(access, download_id, at_ms=milliseconds(self.clock()))

    async def resume(self, access: Access, download_id: str) -> DownloadView:
        """Go on with what was paused; raises as ``pause``."""
        return await self._hold(access, download_id, at_ms=None)

    async def _hold(self, access: Access, download_id: str, *, at_ms: int | None) -> DownloadView:
        record, target, tenant = await self.downloads.find(
            access.principal.tenant, download_id, by=access.principal
        )
        # Who may end it may hold it; what goes on is decided again, for who asked for it.
        await access.require(
            Permission.CANCEL_DOWNLOAD,
            target.entities(tenant.groups),
            Purpose(artifact=delivered(record), about={"download": download_id}),
        )
        if record.rollout is None:
            raise ConflictError(f"download `{download_id}` was not planned: it can be canceled")
        if not await self.records.pause(tenant, record, at_ms=at_ms):
            raise ConflictError(f"download `{download_id}` has ended: there is nothing to pause")
        log.info("download.paused" if at_ms is not None else "download.resumed", name=record.name)
        return await self._told(tenant, replace(record, paused_at=at_ms))

    async def _told(self, tenant: Tenant, record: DownloadRecord) -> DownloadView:
        await self.queue.send([advance(tenant, record.download_id)])
        return await view_of(self.deliveries, tenant, record)

    async def _require(self, access: Access, seen: Seen, plan_id: str) -> str | None:
        """Ask the store for the target; with an approval that is still to come, if one is asked.

        Returns:
            The decision's id.
        """
        purpose = seen.purpose
        if seen.needs_approval:
            purpose = await access.once_approved(seen.action, purpose)
        purpose = replace(purpose, about={"download": plan_id})
        return await access.require(seen.action, seen.target.entities(seen.tenant.groups), purpose)

    async def _begun(self, tenant: Tenant, record: DownloadRecord) -> DownloadRecord:
        if record.state is DownloadRecordState.STARTED:
            return record
        return await self.downloads.hand_over(tenant, record)

    def _record(self, access: Access, plan: Plan, seen: Seen) -> DownloadRecord:
        principal, artifact = access.principal, seen.artifact
        name = principal.claims.get("cognito:username")
        return DownloadRecord(
            download_id=plan.plan_id,
            tenant=plan.tenant,
            target_kind=plan.target_kind,
            target=plan.target,
            artifact=artifact.name,
            size=artifact.size,
            sha256=deliverable(artifact),
            etag=artifact.etag,
            version=artifact.version,
            manifest=artifact.manifest,
            file_id=artifact.file_id,
            created_by=principal.entity_id,
            created_at=milliseconds(self.clock()),
            emergency_reason=plan.emergency_reason,
            devices=plan.allowed,
            rollout=PlannedRollout(
                shape=plan.shape,
                waves=plan.shape.sizes(plan.allowed),
                reach=plan.reach,
                requester=name if isinstance(name, str) else principal.subject,
                source_ip=access.facts.source_ip,
                via=principal.via,
                needs_approval=plan.needs_approval,
            ),
        )
