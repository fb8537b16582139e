"""Ask the policy store of each of many devices by itself, at a rate that leaves room for others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.downloads import MAX_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.devices import Device
    from service.domain.permissions import Permission
    from service.operations.authorization import Access
    from service.operations.purpose import Purpose

# Members that are decided on at once: ten batches of 30, of which a policy store takes 30 a second
# (source: Verified Permissions quotas). At two of them every second another caller has ten left.
_DECIDED_AT_ONCE: Final = 300
_DECIDED_A_SECOND: Final = 600
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


async def each_allowed(
    access: Access, members: Sequence[Device], action: Permission, purpose: Purpose
) -> bool:
    """Whether the caller may do this to each member by itself; it grants and audits nothing.

    A group has no window and no patch date of its own. At most 10,000 are asked for: of more, as of
    none, the answer is no.
    """
    if len(members) > MAX_MEMBERS:
        log.warning("download.group_too_large", limit=MAX_MEMBERS)
        # Fail closed: the policies then decide as if a member had been refused.
        return False
    groups, loop = access.principal.tenant.groups, asyncio.get_running_loop()
    began, allowed = loop.time(), bool(members)
    for start in range(0, len(members), _DECIDED_AT_ONCE):
        await asyncio.sleep(began + start / _DECIDED_A_SECOND - loop.time())
        some = members[start : start + _DECIDED_AT_ONCE]
        allowed = await access.allows_each(
            action, [device.entities(groups) for device in some], purpose
        )
        if not allowed:
            break
    return allowed
