"""The worker's part of machines: ends what was cut off, and secrets whose time is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from service.domain.instants import milliseconds
from service.domain.machines import BEGUN_MS, MachineState
from service.operations.machines import keep, settling

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.domain.machines import Machine
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.operations.machines import MachineEnd
    from service.operations.revocations import Revocations
    from service.ports.machines import MachineClients, MachineRecords
    from service.ports.work import Timers

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class MachineUpkeep:
    """Looks at one machine, and at it again when the next of its secrets ends."""

    records: MachineRecords
    clients: MachineClients
    revocations: Revocations
    end: MachineEnd
    timers: Timers
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Bring one machine to where it shall be.

        Raises:
            ConflictError: somebody changes it at this moment; it comes again.
            UpstreamError: the pool, the table or the scheduler did not answer.
        """
        machine = await self.records.find(tenant, work.about["machine"])
        if machine is None:
            return
        now_ms = milliseconds(self.clock())
        if machine.state is MachineState.MAKING:
            machine = await self._cleared(tenant, machine, now_ms)
        elif machine.state is MachineState.REVOKING:
            if not machine.is_begun(now_ms):
                machine = await self.end(tenant, machine)
        elif machine.state is MachineState.ACTIVE:
            machine = await self._kept(tenant, machine, now_ms)
        await self._wake(tenant, machine, now_ms)

    async def _cleared(self, tenant: Tenant, machine: Machine, now_ms: int) -> Machine:
        """Clear away what somebody began to make; nobody was told its secret."""
        if machine.is_begun(now_ms):
            return machine
        # Taken first: whoever was only slow finds it taken, and tells nobody a secret.
        stored = await self._put(tenant, replace(machine, state=MachineState.REVOKED))
        for client_id in await self.clients.named(tenant, machine.client_name):
            await self.clients.delete(tenant, client_id)
        log.warning("machine.cleared", machine=machine.id)
        return stored

    async def _kept(self, tenant: Tenant, machine: Machine, now_ms: int) -> Machine:
        """An active machine, without secrets that have ended."""
        client_id, lasting = machine.client_id, machine.lasting(now_ms)
        if client_id is None or machine.is_begun(now_ms):
            return machine
        if not lasting:
            # Cognito deletes no last secret, so the machine ends with it.
            revoking = replace(machine, state=MachineState.REVOKING)
            return await self.end(tenant, await self._put(tenant, revoking))
        if lasting == machine.secrets and machine.adding_since is None:
            return machine
        known = {one.id for one in lasting}
        gone = await self.clients.secrets(tenant, client_id) - known

        async def delete() -> None:
            for secret_id in sorted(gone):
                await self.clients.delete_secret(tenant, client_id, secret_id)

        # Whoever asked for it to be deleted was told that tokens of before count no more.
        if any(one.ending for one in machine.secrets):
            await self.revocations.around(tenant, client_id, delete)
        else:
            await delete()
        log.info("machine.secrets_ended", machine=machine.id, secrets=len(gone))
        return await self._put(tenant, replace(machine, secrets=lasting, adding_since=None))

    async def _wake(self, tenant: Tenant, machine: Machine, now_ms: int) -> None:
        """Look again at the next end; a machine without one needs no clock."""
        ends = [one.expires_at for one in machine.secrets if one.expires_at is not None]
        if machine.is_begun(now_ms):
            ends.append(now_ms + BEGUN_MS)
        name = f"{tenant.id}--m-{machine.id}"
        if not ends or machine.state in (MachineState.REVOKED, MachineState.UNKNOWN):
            await self.timers.forget(name)
            return
        at = datetime.fromtimestamp(-(-min(ends) // 1000), UTC)
        await self.timers.wake(name, at, settling(tenant, machine.id))

    async def _put(self, tenant: Tenant, machine: Machine) -> Machine:
        return await keep(self.records, self.clock, tenant, machine)
