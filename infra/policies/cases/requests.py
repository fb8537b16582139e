"""Everything that can be asked of a tenant's resources, as authorization requests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from service.cedar.entities import (
    DEVICE,
    DEVICE_GROUP,
    TENANT,
    USER,
    artifact_entity,
    device_entities,
    group_entities,
    tenant_entity,
)
from service.cedar.request import AuthorizationRequest
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from service.cedar.entities import Entity
    from service.cedar.request import RequestContext, TokenBearer
    from service.cedar.values import Value

_TENANT_ACTIONS: Final = (
    "ListDevices",
    "RegisterDevice",
    "ViewFile",
    "UploadFile",
    "RetireFile",
    "ViewPeople",
    "ManagePeople",
    "ViewAudit",
    "ViewUsage",
    "ViewMachines",
    "ManageMachines",
    "ManageCommandTypes",
    "ManageWebhooks",
    "ViewGrants",
)
_DEVICE_ACTIONS: Final = (
    "ViewDevice",
    "ViewCommand",
    "ViewDownload",
    "OperateDevice",
    "StopDevice",
    "SetParameters",
    "ChangeState",
    "MaintainDevice",
    "CollectLogs",
    "DownloadFile",
    "UpdateFirmware",
    "CancelDownload",
    "ApproveDownload",
    "ConfigureDevice",
    "GiveGrant",
    "RevokeGrant",
    "RetireDevice",
    "SetDeviceGroups",
    "SetDeviceTags",
    "PinDevice",
)
_OF_GROUPS_ALONE: Final = ("ManageGroups", "SetWantedVersion", "FreezeGroup")
_GROUP_ACTIONS: Final = (
    *("ViewDownload", "DownloadFile", "UpdateFirmware"),
    *("CancelDownload", "ApproveDownload", "RegisterDevice", "GiveGrant", "RevokeGrant"),
    *_OF_GROUPS_ALONE,
)
ACTIONS: Final = (*_TENANT_ACTIONS, *_DEVICE_ACTIONS, *_OF_GROUPS_ALONE)
ACTIONS_ON: Final = {
    TENANT: _TENANT_ACTIONS,
    DEVICE_GROUP: _GROUP_ACTIONS,
    DEVICE: _DEVICE_ACTIONS,
}
"""Type of a resource -> the actions that the schema lets be asked of it."""
SOME_TAG: Final = "building"
"""A tag that no policy of the base speaks of."""
SOME_GROUP: Final = "operators"
"""A group of people that anybody may be put into who may be managed at all."""
_TAGGING: Final = frozenset({"SetDeviceTags", "RegisterDevice"})
_PEOPLE: Final = "ManagePeople"
_APPROVING: Final = "ApproveDownload"
SOMEBODY: Final = "somebody"
"""Who asked for a download that is to be approved, unless a context says who."""
_MACHINES: Final = "ManageMachines"
SOME_SCOPES: Final = ("fleet/view",)
"""The least that the tokens of a machine have."""
_DECLARING: Final = "ManageCommandTypes"
SOME_COMMAND_ACTION: Final = "OperateDevice"
"""That a command is bound to which is declared."""
_OF_A_FILE: Final = {
    "DownloadFile": "file",
    "UpdateFirmware": "firmware",
    "CancelDownload": "file",
    "ApproveDownload": "file",
    "SetWantedVersion": "file",
    "ViewFile": "file",
    "UploadFile": "file",
    "RetireFile": "file",
}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What an action is done to.

    Attributes:
        type: ``Fleet::Tenant``, ``Fleet::DeviceGroup`` or ``Fleet::Device``.
        id: the device or device group; of no meaning for the tenant.
        tenant: whose it is; ``None`` for the tenant whose policies are asked.
        groups: lines and zones of a device, without ``all``.
        attributes: a device's Cedar attributes beside its tenant.
        tags: a device's tags.
    """

    type: str
    id: str = ""
    tenant: str | None = None
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def entities(self, tenant: str) -> tuple[Entity, ...]:
        """The resource and its ancestors, asked about in the policies of ``tenant``."""
        owner = self.tenant or tenant
        if self.type == TENANT:
            return (tenant_entity(owner),)
        if self.type == DEVICE_GROUP:
            return group_entities(self.id, tenant=owner, parents={})
        return device_entities(
            self.id,
            tenant=owner,
            groups=self.groups,
            parents={},
            attributes=self.attributes,
            tags=self.tags,
        )

    def with_attributes(self, **changes: Value | None) -> Resource:
        """The device with other attributes; ``None`` takes one away."""
        attributes = {**self.attributes, **changes}
        kept = {name: value for name, value in attributes.items() if value is not None}
        return replace(self, attributes=kept)


def sample_artifact(*, kind: str = "file", size: int = 1, tenant: str) -> Entity:
    """A file to deliver, upload, view or retire."""
    return artifact_entity(f"{tenant}/{kind}-{size}", tenant=tenant, kind=kind, size=size)


def all_requests(
    bearer: TokenBearer,
    context: RequestContext,
    resources: Mapping[str, Resource],
    *,
    tenant: str,
    pool_id: str,
    actions: Iterable[str] = ACTIONS,
) -> Iterator[tuple[str, str, AuthorizationRequest]]:
    """Action, name of the resource and request for all that can be asked of the resources.

    Of `actions`, which are all.

    An action on a file comes with the artifact of ``context``, or else with one that befits it; no
    other action comes with any. So do those that set tags, with theirs, and an approval with who
    asked for the download.
    """
    # Made once: an evaluation of several requests compares their entities.
    entities = {name: resource.entities(tenant) for name, resource in resources.items()}
    for action in actions:
        kind = _OF_A_FILE.get(action)
        tags = (context.changed_tags or (SOME_TAG,)) if action in _TAGGING else None
        groups = (context.people_groups or (SOME_GROUP,)) if action == _PEOPLE else None
        requester = None
        if action == _APPROVING:
            requester = context.requester or EntityUid(USER, f"{pool_id}|{SOMEBODY}")
        scopes = (context.machine_scopes or SOME_SCOPES) if action == _MACHINES else None
        sends = (context.command_action or SOME_COMMAND_ACTION) if action == _DECLARING else None
        artifact = kind and (context.artifact or sample_artifact(kind=kind, tenant=tenant))
        for name, resource in resources.items():
            if action in ACTIONS_ON[resource.type]:
                request = AuthorizationRequest.of(
                    principal=bearer.uid(pool_id),
                    action=action,
                    entities=entities[name],
                    context=replace(
                        context,
                        artifact=artifact or None,
                        changed_tags=tags,
                        people_groups=groups,
                        requester=requester,
                        machine_scopes=scopes,
                        command_action=sends,
                    ),
                )
                yield action, name, request.with_bearer(bearer, pool_id=pool_id)
