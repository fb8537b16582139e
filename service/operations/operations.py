"""Every operation of the service, over one set of ports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from service.domain.enrolments import DeviceEndpoint
from service.operations.authentication import Authenticate
from service.operations.authorization import Access
from service.operations.budgets import Budgets
from service.operations.commands import Commands
from service.operations.devices import Devices
from service.operations.downloads import Downloads
from service.operations.enrolment import Enrol
from service.operations.readiness import Readiness
from service.operations.registration import Registration
from service.settings import EnrolmentSettings

if TYPE_CHECKING:
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.operations.authorization import RequestFacts
    from service.ports import Ports
    from service.settings import TokenSettings


class Operations:
    """Everything that the service does, over one set of ports.

    Args:
        ports: what the operations need of the world.
        tokens: how tokens are verified.
        enrolment: how devices come in.
        endpoint: where they are told to connect.
    """

    def __init__(
        self,
        ports: Ports,
        tokens: TokenSettings,
        enrolment: EnrolmentSettings | None = None,
        endpoint: DeviceEndpoint | None = None,
    ) -> None:
        enrolment = enrolment or EnrolmentSettings()
        endpoint = endpoint or DeviceEndpoint(host="localhost", port=8883, authorities="")
        self._ports = ports
        self._readiness = Readiness(registry=ports.tenants, now=time.monotonic)
        self.authenticate = Authenticate(
            tenants=ports.tenants,
            signing_keys=ports.signing_keys,
            clock=ports.clock,
            settings=tokens,
        )
        self.budgets = Budgets(ports.buckets, ports.clock)
        self.devices = Devices(
            facts=ports.devices, connections=ports.connections, clock=ports.clock
        )
        self.commands = Commands(
            devices=ports.devices,
            records=ports.command_records,
            broker=ports.broker,
            budgets=self.budgets,
            clock=ports.clock,
        )
        self.downloads = Downloads(
            devices=ports.devices,
            artifacts=ports.artifacts,
            records=ports.download_records,
            jobs=ports.download_jobs,
            clock=ports.clock,
        )

        self.registration = Registration(
            devices=ports.devices,
            enrolments=ports.enrolments,
            clock=ports.clock,
            settings=enrolment,
        )
        self.enrol = Enrol(ports, enrolment, endpoint)

    def access(
        self, principal: Principal, *, facts: RequestFacts, declared: frozenset[Permission]
    ) -> Access:
        """What one request may do."""
        return Access(
            principal=principal,
            facts=facts,
            declared=declared,
            authorizer=self._ports.authorizer,
            audit=self._ports.audit,
            clock=self._ports.clock,
        )

    async def check_ready(self) -> None:
        """Raise ``UnavailableError`` unless requests can be served."""
        await self._readiness.check()
