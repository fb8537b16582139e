"""Planned downloads: plan, read the plan; approve, pause and resume what was started of it."""

from datetime import datetime
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs, signed_in
from service.api.parameters import (
    Accepted,
    Caller,
    Cursor,
    Emergency,
    Label,
    Limit,
    Ops,
    emergency_reason,
    utc,
)
from service.api.selections import MAX_NAMED, DeviceFilterBody
from service.cedar.entities import ROOT_GROUP
from service.domain.downloads import TargetKind
from service.domain.permissions import Permission
from service.domain.plans import Plan, PlannedDevice, PlannedPage
from service.domain.rollouts import (
    MAX_PAUSE_MINUTES,
    MAX_RETRIES,
    MAX_RETRY_MINUTES,
    MAX_WAVES,
    Shape,
    WaveSize,
    Window,
)
from service.domain.selections import Selection
from service.errors import InvalidRequestError
from service.operations.plans import PlanRequest

Percent = Annotated[int, Meta(ge=1, le=100)]


class WaveBody(Struct, forbid_unknown_fields=True, frozen=True):
    """How many devices a wave takes: exactly one of a number and a share of all."""

    devices: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    percent: Percent | None = None


class PlanBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A file for one device, one group, what a filter finds, or devices by name; how it is to go.

    Exactly one of ``artifact`` and ``file``, and of ``device``, ``group``, ``filter`` and
    ``devices``.
    """

    artifact: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    file: Label | None = None
    device: Label | None = None
    group: Label | None = None
    filter: DeviceFilterBody | None = None
    devices: Annotated[
        list[Label], Meta(max_length=MAX_NAMED, description="by their ids, each once")
    ] = []
    waves: Annotated[
        list[WaveBody],
        Meta(max_length=MAX_WAVES, description="the first waves; what is left is the last one"),
    ] = []
    pause_minutes: Annotated[
        int, Meta(ge=0, le=MAX_PAUSE_MINUTES, description="between two waves")
    ] = 0
    ended_percent: Annotated[
        int,
        Meta(ge=0, le=100, description="of the devices so far that must have ended before a wave"),
    ] = 0
    abort_percent: Annotated[
        int, Meta(ge=1, le=100, description="of the ended devices that failed: nothing more begins")
    ] = 50
    retries: Annotated[
        int,
        Meta(ge=0, le=MAX_RETRIES, description="of a device that failed or timed out"),
    ] = 0
    retry_minutes: Annotated[
        int,
        Meta(ge=1, le=MAX_RETRY_MINUTES, description="from such an end on until it is tried again"),
    ] = 15
    window: (
        Annotated[str, Meta(max_length=11, description="in which jobs are made, `22:00-04:00`")]
        | None
    ) = None
    utc_offset: Annotated[str, Meta(max_length=6, description="of the window's clock")] = "+00:00"
    emergency: Emergency | None = None

    def request(self) -> PlanRequest:
        """What the operation is asked.

        Raises:
            InvalidRequestError: two members exclude each other, or one is missing.
        """
        kind, target, selection = self._target()
        if (self.artifact is None) == (self.file is None):
            raise InvalidRequestError("artifact", "give exactly one of `artifact` and `file`")
        return PlanRequest(
            target_kind=kind,
            target=target,
            selection=selection,
            artifact=self.artifact or "",
            file_id=self.file,
            shape=Shape(
                waves=tuple(
                    WaveSize(devices=one.devices, percent=one.percent) for one in self.waves
                ),
                pause_minutes=self.pause_minutes,
                ended_percent=self.ended_percent,
                abort_percent=self.abort_percent,
                retries=self.retries,
                retry_minutes=self.retry_minutes,
                window=Window.of(self.window, self.utc_offset) if self.window else None,
            ),
            emergency_reason=emergency_reason(self.emergency),
        )

    def _target(self) -> tuple[TargetKind, str, Selection | None]:
        given = (self.device is not None, self.group is not None, self.filter is not None)
        if (*given, bool(self.devices)).count(True) != 1:
            raise InvalidRequestError(
                "device", "give exactly one of `device`, `group`, `filter` and `devices`"
            )
        if len(set(self.devices)) < len(self.devices):
            raise InvalidRequestError("devices", "a device stands twice")
        if self.device is not None:
            return TargetKind.DEVICE, self.device, None
        if self.group is not None:
            return TargetKind.GROUP, self.group, None
        within = (self.filter.group if self.filter else None) or ROOT_GROUP
        selection = Selection(
            wanted=self.filter.wanted() if self.filter else None,
            devices=tuple(sorted(self.devices)),
        )
        return TargetKind.SELECTION, within, selection


class ReachOut(Struct, frozen=True):
    """The blast radius: how many devices, and how much of the fleet, in percent, rounded up."""

    targets: int
    share_of_fleet: int | None
    critical_targets: int | None
    share_of_critical: int | None


class PlannedDeviceOut(Struct, frozen=True):
    """What would become of one device."""

    device: str
    verdict: str
    policies: list[str]
    reason: str | None

    @classmethod
    def of(cls, device: PlannedDevice) -> "PlannedDeviceOut":
        """A device for the answer."""
        return cls(device.id, device.verdict, list(device.policies), device.reason)


class PlanOut(Struct, frozen=True):
    """A plan. Of a device that you may not view a refusal is counted in `hidden`, and not named."""

    id: str
    digest: str
    device: str | None
    group: str | None
    selected_in: str | None
    artifact: str
    file: str | None
    sha256: str | None
    counts: dict[str, int]
    hidden: int
    denied_by: dict[str, int]
    skipped_for: dict[str, int]
    reach: ReachOut
    waves: list[int]
    needs_approval: bool
    made_at: datetime | None
    expires_at: datetime | None
    devices: list[PlannedDeviceOut]
    cursor: str | None

    @classmethod
    def of(cls, plan: Plan, page: PlannedPage) -> "PlanOut":
        """A plan for the answer."""
        reach = plan.reach
        return cls(
            id=plan.plan_id,
            digest=plan.digest,
            device=plan.target if plan.target_kind == "device" else None,
            group=plan.target if plan.target_kind == "group" else None,
            selected_in=plan.target if plan.target_kind == "selection" else None,
            artifact=plan.artifact.name,
            file=plan.artifact.file_id,
            sha256=plan.artifact.sha256,
            counts={str(verdict): count for verdict, count in plan.counts.items()},
            hidden=plan.hidden,
            denied_by={name or "none permits it": n for name, n in plan.denied_by.items()},
            skipped_for=dict(plan.skipped_for),
            reach=ReachOut(
                reach.targets, reach.share_of_fleet, reach.critical_targets, reach.share_of_critical
            ),
            waves=list(plan.shape.sizes(plan.allowed)),
            needs_approval=plan.needs_approval,
            made_at=utc(plan.made_at),
            expires_at=utc(plan.expires_at),
            devices=[PlannedDeviceOut.of(one) for one in page.devices],
            cursor=page.cursor,
        )


@post(
    "/downloads/plan",
    opt=signed_in(Permission.LIST_DEVICES, Permission.VIEW_DEVICE),
    status_code=201,
)
async def plan_download(
    access: Caller, operations: Ops, data: JSONBody[PlanBody]
) -> Response[PlanOut]:
    """Say what a download would do to each device, and keep that for a day; nothing is done.

    `POST /v1/downloads` with the plan's id starts exactly it, or refuses it as stale: if other
    devices fit its filter by then, too. Who made the plan reads and starts it, and nobody else.
    """
    plan = await operations.planning.make(access, data.request())
    _, page = await operations.planning.page(access, plan.plan_id, limit=50, cursor=None)
    return Response(
        PlanOut.of(plan, page),
        status_code=201,
        headers={"Location": f"/v1/downloads/plans/{plan.plan_id}"},
    )


@get("/downloads/plans/{plan_id:str}", opt=signed_in())
async def read_plan(
    access: Caller,
    operations: Ops,
    plan_id: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PlanOut:
    """A plan that you made, with a page of its devices; it is kept for a day."""
    plan, page = await operations.planning.page(access, plan_id, limit=limit, cursor=cursor)
    return PlanOut.of(plan, page)


@post(
    "/downloads/{download_id:str}/approve", opt=needs(Permission.APPROVE_DOWNLOAD), status_code=202
)
async def approve_download(
    access: Caller, operations: Ops, download_id: FromPath[str]
) -> Response[Accepted]:
    """Give the second person's word on a download that waits for one (`awaiting_approval`).

    The policies say who may; nobody approves what they asked for themselves.
    """
    view = await operations.planned_downloads.approve(access, download_id)
    return _accepted(download_id, view.progress.state)


@post("/downloads/{download_id:str}/pause", opt=needs(Permission.CANCEL_DOWNLOAD), status_code=202)
async def pause_download(
    access: Caller, operations: Ops, download_id: FromPath[str]
) -> Response[Accepted]:
    """Have no further job made of a planned download; devices that have theirs go on."""
    view = await operations.planned_downloads.pause(access, download_id)
    return _accepted(download_id, view.progress.state)


@post("/downloads/{download_id:str}/resume", opt=needs(Permission.CANCEL_DOWNLOAD), status_code=202)
async def resume_download(
    access: Caller, operations: Ops, download_id: FromPath[str]
) -> Response[Accepted]:
    """Go on with a download that was paused; each device is decided again when its job is made."""
    view = await operations.planned_downloads.resume(access, download_id)
    return _accepted(download_id, view.progress.state)


def _accepted(download_id: str, state: str) -> Response[Accepted]:
    return Accepted(id=download_id, url=f"/v1/downloads/{download_id}", state=state).answer()
