"""A campaign in memory, as somebody began it, its worker, its clock, and devices that answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cedarfleet_device.wire import CommandState

from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.campaigns import CampaignRecord, batches_of
from service.domain.commands import ReportedState
from service.domain.devices import Device
from service.domain.instants import milliseconds
from service.domain.people import Person
from service.domain.selections import Selection
from service.domain.work import WorkKind
from service.operations.budgets import Pace
from service.operations.campaigns import advance_campaign
from service.operations.operations import Operations
from service.settings import JobSettings, TokenSettings
from tests.service.operations.fleet import BEGAN, ULID

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant
    from service.operations.worker import Worker

BOSS = "boss-1"


@dataclass
class Campaign:
    """A campaign in memory, its worker, and a clock."""

    ports: MemoryPorts
    tenant: Tenant
    members: tuple[str, ...]
    delayed: list[Any] = field(default_factory=list[Any])

    @property
    def now(self) -> int:
        """Milliseconds since the epoch."""
        assert self.ports.clock.now is not None
        return milliseconds(self.ports.clock.now)

    @property
    def stored(self) -> CampaignRecord:
        """The record as it is now."""
        return self.ports.campaign_records.once.records["acme", ULID]

    def later(self, **time: float) -> None:
        """Let time pass."""
        assert self.ports.clock.now is not None
        self.ports.clock.now += timedelta(**time)

    def worker(self, ports: MemoryPorts | None = None) -> Worker:
        """One worker over these ports, whose waiting lets time pass."""

        async def sleep(seconds: float) -> None:
            self.later(seconds=seconds + 0.001)

        ports = ports or self.ports
        operations = Operations(ports, TokenSettings())
        sending = operations.work_handlers.campaign_sending(
            Pace(ports.buckets, ports.clock, sleep=sleep)
        )
        worker = operations.worker(JobSettings())
        # The trail's own work is another test's.
        return replace(worker, handlers={WorkKind.ADVANCE_CAMPAIGN: sending.advance})

    def due(self) -> None:
        """Hand on what was to wait, and leave the trail's messages alone."""
        queue = self.ports.work_queue
        queue.delayed, due = [], queue.delayed
        for seconds, work in due:
            if work.kind is WorkKind.ADVANCE_CAMPAIGN:
                self.delayed.append((self.now + seconds * 1000, work))

    async def work(self, ports: MemoryPorts | None = None) -> None:
        """Do all that waits, but for what waits for its time."""
        worker = self.worker(ports)
        queue = self.ports.work_queue
        while queue.waiting:
            for received in await queue.receive():
                await worker.handle(received)
                self.due()

    async def pass_time(self, ports: MemoryPorts | None = None, **time: float) -> None:
        """Let time pass, and do what is due by then."""
        self.due()
        self.later(**time)
        due = [work for at, work in self.delayed if at <= self.now]
        self.delayed = [(at, work) for at, work in self.delayed if at > self.now]
        await self.ports.work_queue.send(due)
        await self.work(ports)

    def sent_to(self) -> list[str]:
        """Devices with the commands that they were published, each command once."""
        seen = {(one.device, one.command_id) for one in self.ports.broker.published}
        return sorted(device for device, _ in seen)

    def do(self, *devices: str, state: CommandState = CommandState.SUCCEEDED) -> None:
        """Have devices tell how it ended."""
        for record in self.ports.broker.published:
            if record.device in devices:
                self.ports.command_records.states[record.command_id] = [
                    ReportedState(sequence=1, state=state)
                ]

    async def counts(self) -> dict[str, int]:
        """Devices by state, as the API tells."""
        lists = Operations(self.ports, TokenSettings()).campaign_lists
        return dict((await lists.view(self.tenant, self.stored)).counts)


def boss(*, enabled: bool = True, groups: tuple[str, ...] = ("managers",)) -> Person:
    """Who asked for it, as the user pool shows them."""
    person = Person(id=BOSS, subject=BOSS, email="boss@acme.test", state="active", enabled=True)
    return replace(person, enabled=enabled, groups=groups)


async def begin_campaign(
    pools: tuple[MemoryUserPool, MemoryUserPool],
    authorizer: CedarAuthorizer,
    *,
    devices: int,
    name: str = "reboot",
    **more: Any,
) -> Campaign:
    """A manager's campaign for so many devices, handed to the worker and not begun."""
    ports = MemoryPorts.around(authorizer)
    pools[0].join(ports)
    ports.clock.now = BEGAN
    tenant = pools[0].tenant
    ports.people.add("acme", boss())
    members = tuple(f"d{number:05}" for number in range(devices))
    for member in members:
        ports.devices.add(Device(tenant="acme", id=member))
    now = milliseconds(BEGAN)
    usual: dict[str, Any] = {
        "campaign_id": ULID,
        "tenant": "acme",
        "name": name,
        "arguments": {},
        "target": Selection(group="all"),
        "seconds": 60,
        "send_before": now + 3_600_000,
        "created_by": f"{tenant.pool_id}|{BOSS}",
        "requester": BOSS,
        "created_at": now,
        "devices": devices,
    }
    record = CampaignRecord(**{**usual, **more})
    await ports.campaign_batches.plan(tenant, record, batches_of(members))
    await ports.campaign_records.create(tenant, record, None)
    await ports.work_queue.send([advance_campaign(tenant, record)])
    return Campaign(ports=ports, tenant=tenant, members=members)
