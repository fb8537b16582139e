"""What tells the worker to look at a wanted version, or at what is wanted of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from service.domain.work import Work, WorkKind
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import WantedVersion
    from service.ports.work import WorkQueue

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def look_at(tenant: Tenant, wish: WantedVersion) -> Work:
    """What has the worker look at a wish."""
    about = {"package": wish.package, "group": wish.group, "wish": wish.wish_id}
    return Work(kind=WorkKind.BRING_VERSION, issuer=tenant.issuer, tenant=tenant.id, about=about)


def look_at_device(tenant: Tenant, device_id: str) -> Work:
    """What has the worker look at the wishes for a device."""
    return Work(
        kind=WorkKind.BRING_DEVICE,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"device": device_id},
    )


async def tell_of_moved(queue: WorkQueue, tenant: Tenant, devices: Sequence[str]) -> None:
    """Have the worker look whether devices that are in other groups now shall run something else.

    If it cannot be told, each wish's hourly look finds them.
    """
    try:
        await queue.send([look_at_device(tenant, one) for one in devices])
    except UpstreamError:
        log.warning("wanted_version.not_told", devices=len(devices))
