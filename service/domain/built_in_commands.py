"""Commands that every device knows: each has its own action, whatever a tenant's file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.domain.permissions import Permission
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant

BUILT_IN: Final[Mapping[str, Permission]] = {wire.UPLOAD_LOGS: Permission.COLLECT_LOGS}
LOGS_SECONDS: Final = 600
"""For which logs may be waited for, at most: what they are uploaded by ends with the credentials
that signed it (`operations.device_logs`)."""


def action_of(tenant: Tenant, name: str) -> Permission | None:
    """What sending a command asks for; ``None``: the tenant has no such command."""
    return BUILT_IN.get(name) or tenant.commands.get(name)


def command_names(tenant: Tenant) -> str:
    """The tenant's commands, for people."""
    return ", ".join(sorted({*tenant.commands, *BUILT_IN}))


def check_built_in(name: str, arguments: Mapping[str, object], timeout_seconds: int) -> None:
    """Refuse what a built-in command does not take; any other passes.

    Raises:
        InvalidRequestError: arguments, or it would wait too long.
    """
    if name not in BUILT_IN:
        return
    # Fail closed: what the service adds as it leaves is nobody's to say.
    if arguments:
        raise InvalidRequestError("arguments", f"`{name}` takes none")
    if timeout_seconds > LOGS_SECONDS:
        raise InvalidRequestError(
            "timeout_seconds", f"`{name}` waits for its device for {LOGS_SECONDS} s at most"
        )
