"""Every action that a policy can allow or forbid, spelt as in ``policies/schema.cedarschema``."""

from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """The leaf actions of the Cedar schema; its groups (View, Operate, ...) serve policies only."""

    LIST_DEVICES = "ListDevices"
    REGISTER_DEVICE = "RegisterDevice"
    VIEW_FILE = "ViewFile"
    UPLOAD_FILE = "UploadFile"
    RETIRE_FILE = "RetireFile"
    VIEW_PEOPLE = "ViewPeople"
    MANAGE_PEOPLE = "ManagePeople"
    VIEW_AUDIT = "ViewAudit"
    VIEW_USAGE = "ViewUsage"
    VIEW_MACHINES = "ViewMachines"
    MANAGE_MACHINES = "ManageMachines"
    MANAGE_COMMAND_TYPES = "ManageCommandTypes"
    MANAGE_WEBHOOKS = "ManageWebhooks"
    VIEW_DEVICE = "ViewDevice"
    VIEW_COMMAND = "ViewCommand"
    VIEW_DOWNLOAD = "ViewDownload"
    OPERATE_DEVICE = "OperateDevice"
    SET_PARAMETERS = "SetParameters"
    STOP_DEVICE = "StopDevice"
    CHANGE_STATE = "ChangeState"
    MAINTAIN_DEVICE = "MaintainDevice"
    COLLECT_LOGS = "CollectLogs"
    DOWNLOAD_FILE = "DownloadFile"
    UPDATE_FIRMWARE = "UpdateFirmware"
    CANCEL_DOWNLOAD = "CancelDownload"
    APPROVE_DOWNLOAD = "ApproveDownload"
    SET_WANTED_VERSION = "SetWantedVersion"
    CONFIGURE_DEVICE = "ConfigureDevice"
    SET_DEVICE_GROUPS = "SetDeviceGroups"
    SET_DEVICE_TAGS = "SetDeviceTags"
    PIN_DEVICE = "PinDevice"
    MANAGE_GROUPS = "ManageGroups"
    FREEZE_GROUP = "FreezeGroup"
    GIVE_GRANT = "GiveGrant"
    REVOKE_GRANT = "RevokeGrant"
    VIEW_GRANTS = "ViewGrants"
    RETIRE_DEVICE = "RetireDevice"

    @property
    def changes_something(self) -> bool:
        """Whether an allowed use must be audited; every denial is audited anyway."""
        return self not in READING


READING: Final = frozenset(
    {
        Permission.LIST_DEVICES,
        Permission.VIEW_FILE,
        Permission.VIEW_DEVICE,
        Permission.VIEW_COMMAND,
        Permission.VIEW_DOWNLOAD,
    }
)
"""What a copy of the policies may decide; anything else is asked of the policy store each time."""
COMMANDING: Final = frozenset(
    {
        Permission.OPERATE_DEVICE,
        Permission.SET_PARAMETERS,
        Permission.STOP_DEVICE,
        Permission.MAINTAIN_DEVICE,
    }
)
"""What a tenant may bind a command's name to."""
DELIVERING: Final = frozenset({Permission.DOWNLOAD_FILE, Permission.UPDATE_FIRMWARE})
OF_TENANT: Final = frozenset(
    {
        Permission.LIST_DEVICES,
        Permission.REGISTER_DEVICE,
        Permission.VIEW_FILE,
        Permission.UPLOAD_FILE,
        Permission.RETIRE_FILE,
        Permission.VIEW_PEOPLE,
        Permission.MANAGE_PEOPLE,
        Permission.VIEW_AUDIT,
        Permission.VIEW_USAGE,
        Permission.VIEW_MACHINES,
        Permission.MANAGE_MACHINES,
        Permission.MANAGE_COMMAND_TYPES,
        Permission.MANAGE_WEBHOOKS,
        Permission.VIEW_GRANTS,
    }
)
"""What is asked of the tenant; as all of these, spelt as the schema's ``appliesTo`` says."""
OF_GROUPS: Final = frozenset(
    {
        Permission.REGISTER_DEVICE,
        Permission.VIEW_DOWNLOAD,
        Permission.CANCEL_DOWNLOAD,
        Permission.APPROVE_DOWNLOAD,
        Permission.DOWNLOAD_FILE,
        Permission.UPDATE_FIRMWARE,
        Permission.MANAGE_GROUPS,
        Permission.FREEZE_GROUP,
        Permission.SET_WANTED_VERSION,
        Permission.GIVE_GRANT,
        Permission.REVOKE_GRANT,
    }
)
"""What can be asked of a device group."""
OF_DEVICES: Final = (
    frozenset(Permission)
    - OF_TENANT
    - {Permission.MANAGE_GROUPS, Permission.FREEZE_GROUP, Permission.SET_WANTED_VERSION}
)
"""What is asked of a device."""
