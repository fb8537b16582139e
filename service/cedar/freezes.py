"""The forbid by which nobody changes the devices of a group, until it is thawed."""

from __future__ import annotations

from typing import Final

GOES_ON: Final = (
    *("View", "ViewPeople", "ViewAudit", "ViewUsage", "ViewMachines", "ViewGrants"),
    *("StopDevice", "CancelDownload", "RevokeGrant"),
)
"""Actions that are let through: reading, and what only takes something away."""
FREEZING: Final = "FreezeGroup"
"""By which a freeze of the API is taken back, so that no freeze of the API forbids it."""


def frozen_statement(freeze_id: str, group: str) -> str:
    """The policy of a freeze that was made by the API.

    Its ``@id`` tells it from those of a stack, as a grant's does (``granted``).

    Args:
        freeze_id: a ULID.
        group: id of a group of the tenant.
    """
    goes_on = ", ".join(f'Fleet::Action::"{action}"' for action in (*GOES_ON, FREEZING))
    return (
        f'@id("freeze-{freeze_id}")\n'
        '@unless("it only reads, stops or takes back")\n'
        f'forbid (principal, action, resource in Fleet::DeviceGroup::"{group}")\n'
        f"unless {{ action in [{goes_on}] }};"
    )
