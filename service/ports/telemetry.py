"""What devices measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.telemetry import LastValues
    from service.domain.tenants import Tenant


class Telemetry(Protocol):
    """Last values, as the tenant's rule wrote them."""

    async def last_values(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None
    ) -> LastValues:
        """One page of a device's last values, by topic; of a megabyte at most.

        Args:
            tenant: whose.
            device_id: of a device that it has.
            limit: at most so many.
            cursor: of the page before.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        ...
