"""Many tenants at once, by a clock that nobody waits for, against AWS's own rates.

The real operations run over the twins, as three processes that share their buckets. Each request
makes the calls that ``docs/calls-per-route.md`` promises of it, which a test holds to what is
counted; each call is asked of the rehearsal's table of rates, at AWS's pace.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.clock import Clock
from infra.local.cloud.limits.enforcing import Limits
from infra.local.cloud.limits.table import RATES
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.commands import read_command, send_command
from service.domain.budgets import Bucket
from service.domain.commands import DirectAnswer
from service.domain.devices import Device
from service.domain.rates import DEFAULT
from service.operations.authorization import RequestFacts
from service.operations.commands import CommandRequest
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.benchmarks.calls_per_route import PAGE, promises

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from service.api.guard import Needs
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant
    from service.ports.authorizer import Authorizer

BEGIN: Final = datetime.now(UTC)  # tokens are verified by the real time
SEND: Final = "POST /v1/devices/{device}/commands"
SEND_QUEUED: Final = f"{SEND} beyond the account's direct messages"
POLL: Final = "GET /v1/commands/{command_id}"
_SERVICE: Final = {operation: rate.service for rate in RATES for operation in rate.operations}


@dataclass
class Remembering:
    """Asks the policies once for each tenant and action, which changes no number of calls."""

    origin: Authorizer
    said: dict[tuple[str, str], Decision] = field(default_factory=dict[tuple[str, str], "Decision"])

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """What they said."""
        asked = (principal.tenant.id, str(request.action))
        if asked not in self.said:
            self.said[asked] = await self.origin.decide(principal, request)
        return self.said[asked]

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """What they said of each."""
        return tuple([await self.decide(principal, request) for request in requests])

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        return await self.origin.decide_all_for(tenant, bearer, requests)


@dataclass
class Customer:
    """One tenant: somebody of its people, and the last command."""

    principal: Principal
    command_id: str = ""


@dataclass(kw_only=True)
class SimulatedPlatform:
    """Processes over one set of twins.

    Attributes:
        authorizer: the real policies.
        tenants: how many there are, with the budgets of a file that says nothing.
        processes: of the service.
        extra: calls that each command makes beside those of the page: for tests of this itself.
        served: requests by tenant.
        refused: requests over a budget, by tenant.
        throttled: calls that AWS would not have answered, by the rate.
        calls: that were made, by tenant.
    """

    authorizer: Authorizer
    chance: random.Random
    tenants: int = 20
    processes: int = 3
    extra: tuple[str, ...] = ()
    served: Counter[int] = field(default_factory=Counter[int])
    refused: Counter[int] = field(default_factory=Counter[int])
    throttled: Counter[str] = field(default_factory=Counter[str])
    calls: Counter[int] = field(default_factory=Counter[int])
    passed: float = 0.0

    def __post_init__(self) -> None:
        self.ports = MemoryPorts.around(Remembering(self.authorizer))
        self.ports.broker.answer = DirectAnswer.RECEIVED
        self._limits = Limits(clock=Clock(lambda: BEGIN.timestamp() + self.passed), pace=1)
        self._running = [Operations(self.ports, TokenSettings()) for _ in range(self.processes)]
        self._promised = promises(PAGE.read_text(encoding="utf-8"))
        self._customers: list[Customer] = []

    async def begin(self) -> None:
        """Make the tenants, each with a device and a command to poll."""
        self._at(0.0)
        pool = MemoryUserPool("acme", budgets=DEFAULT)
        pool.join(self.ports)
        far = {"exp": int(BEGIN.timestamp()) + 10**6, "iat": int(BEGIN.timestamp())}
        token = pool.id_token("boss", ["managers"], **far)
        boss = await self._running[0].authenticate(f"Bearer {token}")
        for number in range(self.tenants):
            tenant = replace(
                boss.tenant, id=f"tenant-{number}", issuer=f"{pool.tenant.issuer}{number}"
            )
            self.ports.devices.add(Device(tenant=tenant.id, id="press-01"))
            self._customers.append(Customer(replace(boss, tenant=tenant)))
        for number in range(self.tenants):
            await self.send(number)

    async def run(self, seconds: float, *, commands: int, polls: int, flood: int = 0) -> None:
        """Let so much time pass.

        Args:
            seconds: of simulated time.
            commands: a second and tenant, of clients that each send one a second.
            polls: likewise.
            flood: polls a second of the first tenant beside these.
        """
        begun, until = self.passed, self.passed + seconds
        due = [
            (begun + self.chance.random(), index, work, number)
            for number in range(self.tenants)
            for index, work in enumerate([self.send] * commands + [self.poll] * polls)
        ]
        heapq.heapify(due)
        more = begun
        while due[0][0] < until:
            at, index, work, number = heapq.heappop(due)
            while flood and (more := more + self.chance.expovariate(flood)) < at:
                self._at(more)
                await self.poll(0)
            more = max(more if flood else at, begun)
            self._at(at)
            await work(number)
            heapq.heappush(due, (at + 1, index, work, number))
        self._at(until)

    async def send(self, tenant: int) -> None:
        """One command."""
        customer, process = self._customers[tenant], self.chance.choice(self._running)
        stated: Needs = send_command.opt["access"]
        if not await self._spent(process, tenant, stated):
            return
        published = len(self.ports.broker.published)
        record = await process.commands.send(
            self._access(process, customer, stated),
            CommandRequest(device="press-01", name="reboot", arguments={}, timeout_seconds=60),
        )
        # The twins are kept from growing with the number of requests.
        self.ports.command_records.once.records.pop((record.tenant, customer.command_id), None)
        customer.command_id = record.command_id
        queued = len(self.ports.broker.published) > published
        self._call(tenant, SEND_QUEUED if queued else SEND, *self.extra)
        for kept in (self.ports.audit.trail, self.ports.broker.sent, self.ports.broker.published):
            kept.clear()

    async def poll(self, tenant: int) -> None:
        """One look at the last command."""
        customer, process = self._customers[tenant], self.chance.choice(self._running)
        stated: Needs = read_command.opt["access"]
        if await self._spent(process, tenant, stated):
            access = self._access(process, customer, stated)
            await process.commands.read(access, customer.command_id)
            self._call(tenant, POLL)

    async def _spent(self, process: Operations, tenant: int, stated: Needs) -> bool:
        """Whether the guard lets the request through."""
        owner = self._customers[tenant].principal.tenant
        for budget in stated.budgets:
            bucket = Bucket(name=budget, rate=owner.budgets[budget], tenant=owner)
            if not (await process.budgets.spend(bucket)).granted:
                self.refused[tenant] += 1
                return False
        self.served[tenant] += 1
        return True

    def _access(self, process: Operations, customer: Customer, stated: Needs) -> Any:
        facts = RequestFacts(request_id="simulated", source_ip=None)
        return process.access(customer.principal, facts=facts, declared=stated.actions)

    def _call(self, tenant: int, route: str, *extra: str) -> None:
        for call in (*self._promised[route], *extra):
            operation = call.removeprefix("IoT ")
            self.calls[tenant] += 1
            rate = self._limits.too_fast(
                _SERVICE.get(operation, ""), operation, {"policyStoreId": tenant}
            )
            if rate is not None:
                self.throttled[rate.id] += 1

    def _at(self, passed: float) -> None:
        self.passed = max(self.passed, passed)
        self.ports.clock.now = BEGIN + timedelta(seconds=self.passed)
