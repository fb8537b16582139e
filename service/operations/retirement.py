"""Retires a device: no code, certificate or command is good for it any more, and its facts stay.

It is written down first, so whatever is cut off goes on when it is asked again. A certificate that
is inactive is turned away, and what it connected is ended, "within a few minutes" (AWS IoT API
reference, "UpdateCertificate"); the connection that there is ends at once. What waited for the
device is ended by the worker (``retired_devices``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.budgets import Bucket
from service.domain.instants import milliseconds
from service.domain.permissions import Permission
from service.domain.preconditions import ANY_STATE
from service.domain.rates import Rate
from service.errors import UnavailableError
from service.operations.devices import find_device
from service.operations.retired_devices import settling_retired

if TYPE_CHECKING:
    from service.domain.devices import Device
    from service.domain.instants import Clock
    from service.domain.preconditions import Expected
    from service.operations.authorization import Access
    from service.operations.budgets import Budgets
    from service.ports.devices import Connections, DeviceFacts
    from service.ports.enrolments import Enrolments, Things
    from service.ports.work import WorkQueue

RETIREMENTS: Final = Bucket(name="retirements", rate=Rate(per_second=4, burst=4))
"""Of the account: below its ten `UpdateCertificate` a second (assumed), two for each device."""
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """Retires devices of the caller's tenant."""

    devices: DeviceFacts
    enrolments: Enrolments
    things: Things
    connections: Connections
    budgets: Budgets
    queue: WorkQueue
    clock: Clock

    async def retire(
        self, access: Access, device_id: str, expected: Expected = ANY_STATE
    ) -> Device:
        """Retire a device; asked again, it does again what may have been cut off.

        Raises:
            NotFoundError: the tenant has no such device.
            PermissionDeniedError: not allowed.
            PreconditionFailedError: it is not as the caller expects it.
            ConflictError: what is stored of it is not of its form, so nobody can decide on it.
            UnavailableError: too many at once; try again.
            UpstreamError: it is written down, and may be in still: ask again.
        """
        tenant, now_ms = access.principal.tenant, milliseconds(self.clock())
        device = await find_device(self.devices, tenant, device_id)
        await access.require(Permission.RETIRE_DEVICE, device.entities(tenant.groups))
        expected.check(device.tag)
        # Fail closed: the calls are the account's, so one tenant's many wait, and others' do not.
        if not (await self.budgets.spend(RETIREMENTS)).granted:
            raise UnavailableError("retirement", is_lost=False)
        certificates = await self.enrolments.retire(
            tenant, device, by=access.principal.entity_id, now_ms=now_ms
        )
        # Before the calls that may be cut off: whoever asks again has it done again.
        await self.queue.send([settling_retired(tenant, device_id)])
        await self.things.put_off(tenant, device, certificates)
        await self.connections.end(tenant, device)
        log.info("device.retired", thing=device.thing)
        groups = device.known_groups(tenant.groups)
        return replace(device, groups=groups, retired_at=device.retired_at or now_ms)
