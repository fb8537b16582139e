"""Campaigns: one command for a group, for what a filter finds, or for devices by name."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.api.commands import CancelBody, TimeoutSeconds
from service.api.guard import needs
from service.api.parameters import (
    Accepted,
    Caller,
    Cursor,
    Emergency,
    IdempotencyKey,
    Label,
    Limit,
    Ops,
    StatedReason,
    emergency_reason,
    stated_reason,
    utc,
)
from service.api.selections import MAX_NAMED, DeviceFilterBody
from service.domain.built_in_commands import BUILT_IN
from service.domain.campaigns import (
    MAX_WINDOW_SECONDS,
    USUAL_WINDOW_SECONDS,
    CampaignFilter,
    CampaignView,
)
from service.domain.commands import IfOffline
from service.domain.features import Feature
from service.domain.permissions import COMMANDING, Permission
from service.domain.rates import Budget
from service.domain.selections import Selection
from service.errors import InvalidRequestError
from service.operations.campaign_lists import CampaignDevice
from service.operations.campaigns import CampaignRequest


class CampaignBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A command, and for which devices: exactly one of `group`, `filter` and `devices`."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="one of the tenant's commands, e.g. `reboot`, or `upload-logs`",
        ),
    ]
    group: Label | None = None
    filter: DeviceFilterBody | None = None
    devices: Annotated[
        list[Label], Meta(max_length=MAX_NAMED, description="by their ids, each once")
    ] = []
    arguments: dict[str, Any] = {}
    timeout_seconds: TimeoutSeconds | None = None
    window_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=MAX_WINDOW_SECONDS,
            description="after which it is sent to no further device, whatever kept it waiting",
        ),
    ] = USUAL_WINDOW_SECONDS
    if_offline: Annotated[
        IfOffline,
        Meta(
            description="whether a command waits for a device that is not connected: `queue`;"
            " or fails at once: `refuse`"
        ),
    ] = IfOffline.QUEUE
    emergency: Emergency | None = None
    reason: StatedReason | None = None

    def target(self) -> Selection:
        """Whom it is for.

        Raises:
            InvalidRequestError: not exactly one is given, or a device stands twice.
        """
        given = (self.group is not None, self.filter is not None, bool(self.devices))
        if given.count(True) != 1:
            raise InvalidRequestError("group", "give exactly one of `group`, `filter`, `devices`")
        if len(set(self.devices)) < len(self.devices):
            raise InvalidRequestError("devices", "a device stands twice")
        return Selection(
            group=self.group,
            wanted=self.filter.wanted() if self.filter else None,
            devices=tuple(sorted(self.devices)),
        )


class CampaignOut(Struct, frozen=True):
    """A campaign, as the worker found it when it last looked.

    It is `created`, `sending` and `sent`, then `ended`: no device of it is waited for any more. It
    is `stopped` where `why` says so, `canceling` while what has not begun is being taken back, then
    `canceled`. `counts` are devices by state: `waiting` for their turn, `allowed` and about to be
    sent to, `denied` by the policies, `skipped` (gone, retired, not come yet, or unreadable),
    `canceled` before it left; of all others the state of their command.
    """

    id: str
    name: str
    group: str | None
    state: str
    why: str | None
    devices: int
    counts: dict[str, int]
    reason: str | None
    created_by: str
    created_at: datetime | None
    send_before: datetime | None
    begun_at: datetime | None
    looked_at: datetime | None
    canceled_by: str | None

    @classmethod
    def of(cls, view: CampaignView) -> "CampaignOut":
        """A campaign for the answer."""
        record = view.record
        return cls(
            id=record.campaign_id,
            name=record.name,
            group=record.target.group,
            state=view.state,
            why=view.why,
            devices=record.devices,
            counts=dict(sorted(view.counts.items())),
            reason=record.reason,
            created_by=record.created_by,
            created_at=utc(record.created_at),
            send_before=utc(record.send_before),
            begun_at=utc(record.begun_at),
            looked_at=utc(record.looked_at),
            canceled_by=record.canceled_by,
        )


class CampaignDeviceOut(Struct, frozen=True):
    """One device of a campaign as it stands now; `command` is the id of its command."""

    device: str
    state: str
    is_final: bool
    command: str | None
    policies: list[str]
    explanation: str | None

    @classmethod
    def of(cls, one: CampaignDevice) -> "CampaignDeviceOut":
        """A device for the answer."""
        device = one.device
        sent = device.state and not device.is_left_out
        return cls(
            device=device.id,
            state=one.state,
            is_final=one.is_final,
            command=device.command_id if sent else None,
            policies=list(device.policies),
            explanation=one.reason,
        )


class CampaignPageOut(Struct, frozen=True):
    """One page of campaigns, the newest first; ``cursor`` asks for the next."""

    campaigns: list[CampaignOut]
    cursor: str | None


class CampaignDevicePageOut(Struct, frozen=True):
    """One page of a campaign's devices; ``cursor`` asks for the next."""

    devices: list[CampaignDeviceOut]
    cursor: str | None


Named = Annotated[str | None, QueryParameter(max_length=64, description="of this command")]
ToGroup = Annotated[
    str | None, QueryParameter(max_length=64, description="to this group and no other")
]
By = Annotated[
    str | None, QueryParameter(max_length=256, description="begun by whom, as `created_by` says")
]
# `state` is a name of Litestar's own.
InState = Annotated[
    str | None, QueryParameter(name="state", max_length=64, description="in this state now")
]
SEEING = (Permission.LIST_DEVICES, Permission.VIEW_COMMAND)


@post(
    "/campaigns",
    opt=needs(
        *COMMANDING,
        *BUILT_IN.values(),
        Permission.LIST_DEVICES,
        Permission.VIEW_DEVICE,
        budget=Budget.COMMANDS,
        begins=Feature.CAMPAIGNS,
    ),
    status_code=202,
)
async def start_campaign(
    access: Caller,
    operations: Ops,
    data: JSONBody[CampaignBody],
    idempotency_key: IdempotencyKey = None,
) -> Response[Accepted]:
    """Send a command to many devices; the answer says where to watch it.

    It is for the devices of this moment, at most 10,000. You must be allowed to send the command to
    one of them at least; whether to each is decided by the policies when its turn comes, for you as
    you are in the user pool then: whoever is denied is left out, and told with the policy. If you
    are disabled meanwhile, it stops. A machine that the API made is decided by its token's scopes,
    and its campaign stops once it is revoked; one of the tenant's file starts none (409).
    """
    request = CampaignRequest(
        target=data.target(),
        name=data.name,
        arguments=data.arguments,
        window_seconds=data.window_seconds,
        timeout_seconds=data.timeout_seconds,
        if_offline=data.if_offline,
        emergency_reason=emergency_reason(data.emergency),
        reason=stated_reason(data.reason),
        idempotency_key=idempotency_key,
    )
    return _accepted(await operations.campaigns.start(access, request))


@get("/campaigns", opt=needs(*SEEING))
async def list_campaigns(
    access: Caller,
    operations: Ops,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    name: Named = None,
    group: ToGroup = None,
    created_by: By = None,
    in_state: InState = None,
) -> CampaignPageOut:
    """Campaigns of the last 90 days, the newest first.

    Whoever may list all devices sees all of them, anybody else their own. A page may have less than
    `limit` campaigns, or none, and a `cursor` all the same.
    """
    wanted = CampaignFilter(name=name, group=group, created_by=created_by)
    views, behind = await operations.campaign_lists.page(
        access, wanted=wanted, state=in_state, limit=limit, cursor=cursor
    )
    return CampaignPageOut(campaigns=[CampaignOut.of(view) for view in views], cursor=behind)


@get("/campaigns/{campaign_id:str}", opt=needs(*SEEING))
async def read_campaign(access: Caller, operations: Ops, campaign_id: FromPath[str]) -> CampaignOut:
    """How far a campaign came."""
    return CampaignOut.of(await operations.campaign_lists.read(access, campaign_id))


@get("/campaigns/{campaign_id:str}/devices", opt=needs(*SEEING))
async def list_campaign_devices(
    access: Caller,
    operations: Ops,
    campaign_id: FromPath[str],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    in_state: InState = None,
) -> CampaignDevicePageOut:
    """What became of each device of a campaign, as far as the caller may view its commands.

    A page may have less than `limit` devices, or none, and a `cursor` all the same.
    """
    devices, behind = await operations.campaign_lists.devices_of(
        access, campaign_id, state=in_state, limit=limit, cursor=cursor
    )
    return CampaignDevicePageOut(
        devices=[CampaignDeviceOut.of(one) for one in devices], cursor=behind
    )


@post(
    "/campaigns/{campaign_id:str}/cancel",
    opt=needs(*COMMANDING, *BUILT_IN.values(), *SEEING),
    status_code=202,
)
async def cancel_campaign(
    access: Caller, operations: Ops, campaign_id: FromPath[str], data: JSONBody[CancelBody]
) -> Response[Accepted]:
    """Have nothing more of a campaign sent, and what has not begun on its device taken back.

    Whoever began it may, and who may send its command to each of its devices. Asked again it is the
    same; what is over is 409.
    """
    return _accepted(
        await operations.campaigns.cancel(
            access, campaign_id, emergency_reason=emergency_reason(data.emergency)
        )
    )


def _accepted(view: CampaignView) -> Response[Accepted]:
    id_ = view.record.campaign_id
    return Accepted(id=id_, url=f"/v1/campaigns/{id_}", state=view.state).answer()
