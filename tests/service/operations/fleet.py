"""A download in memory, its worker, its clock, and tasks that die wherever they are."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.devices import Device
from service.domain.downloads import (
    Closing,
    DeliveryState,
    DownloadRecord,
    Outcome,
    TargetKind,
    jobs_of,
)
from service.domain.instants import milliseconds
from service.operations.downloads import advance
from service.operations.operations import Operations
from service.operations.rollout import Rollout
from service.operations.wave_decisions import WaveDecisions
from service.settings import JobSettings, TokenSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.operations.worker import Worker

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
ULID = "01JD0000000000000000000000"


class DiedError(BaseException):
    """A task was killed here: nothing that it would have done any more is done."""


@dataclass
class Fleet:
    """A download in memory, its worker, and a clock."""

    ports: MemoryPorts
    tenant: Tenant
    settings: JobSettings
    record: DownloadRecord
    members: tuple[str, ...]
    handled: int = 0
    kills: list[int] = field(default_factory=list[int])

    @property
    def now(self) -> datetime:
        """The time."""
        assert self.ports.clock.now is not None
        return self.ports.clock.now

    @property
    def stored(self) -> DownloadRecord:
        """The record as it is now."""
        return self.ports.download_records.once.records["acme", ULID]

    async def work(self, ports: MemoryPorts | None = None) -> None:
        """Do all that waits."""
        worker = self.worker(ports)
        while self.ports.work_queue.waiting:
            for received in await self.ports.work_queue.receive():
                self.handled += 1
                await worker.handle(received)

    def worker(self, ports: MemoryPorts | None = None) -> Worker:
        """One worker over these ports."""
        return Operations(ports or self.ports, TokenSettings()).worker(self.settings)

    async def pass_time(self, time: timedelta) -> None:
        """Let time pass, and do what is due by then."""
        self.ports.clock.now = self.now + time
        await self.ports.work_queue.send(self.ports.timers.due(self.now))
        await self.work()

    def rollout(self, pace: Pace) -> Rollout:
        """The handlers of one task, at the real rate."""
        decisions = WaveDecisions(
            devices=self.ports.devices,
            groups=self.ports.groups,
            people=self.ports.people,
            authorizer=self.ports.authorizer,
            audit=self.ports.audit,
            pace=pace,
            clock=self.ports.clock,
        )
        return Rollout(
            decisions=decisions,
            telling=Operations(self.ports, TokenSettings()).telling,
            devices=self.ports.devices,
            records=self.ports.download_records,
            deliveries=self.ports.deliveries,
            jobs=self.ports.download_jobs,
            pace=pace,
            queue=self.ports.work_queue,
            timers=self.ports.timers,
            clock=self.ports.clock,
            settings=JobSettings(),
        )

    def close(self, closing: Closing) -> None:
        """Have it closed by somebody else at once."""
        records = self.ports.download_records.once.records
        records["acme", ULID] = replace(self.stored, closing=closing)

    def end(self, state: DeliveryState, devices: tuple[str, ...]) -> None:
        """Have an event tell how it ended on devices."""
        for device in devices:
            self.ports.deliveries.end(
                self.record, device, Outcome(state=state, at=milliseconds(self.now))
            )

    def made(self) -> list[str]:
        """The jobs that were made, by the end of their ids."""
        return sorted(job[-2:] for job in self.ports.download_jobs.made)


async def begin(
    pools: tuple[MemoryUserPool, MemoryUserPool],
    authorizer: CedarAuthorizer,
    *,
    devices: int,
    devices_per_minute: int = 10_000,
) -> Fleet:
    """A recorded download to so many devices, handed to the worker and not begun."""
    ports = MemoryPorts.around(authorizer)
    pools[0].join(ports)
    ports.clock.now = BEGAN
    members = tuple(f"d{number:04}" for number in range(devices))
    for member in members:
        ports.devices.add(Device(tenant="acme", id=member))
    record = DownloadRecord(
        download_id=ULID,
        tenant="acme",
        target_kind=TargetKind.GROUP,
        target="all",
        artifact="recipes/steel.json",
        size=20,
        sha256="ab" * 32,
        etag='"e"',
        created_by="somebody",
        created_at=milliseconds(BEGAN),
        devices=devices,
    )
    tenant = pools[0].tenant
    await ports.deliveries.plan(tenant, record, tuple(jobs_of(members)))
    await ports.download_records.create(tenant, record, None)
    await ports.work_queue.send([advance(tenant, ULID)])
    # The rate is another test's: here the clock stands still.
    settings = JobSettings(
        devices_per_minute=devices_per_minute, download_days=30, jobs_per_second=10_000
    )
    return Fleet(ports=ports, tenant=tenant, settings=settings, record=record, members=members)


def mortal(ports: MemoryPorts, dies: Callable[[], None], *names: str) -> MemoryPorts:
    """The ports, of which these may be died in."""
    return replace(ports, **{name: Mortal(getattr(ports, name), dies) for name in names})


@dataclass
class Mortal:
    """A port of which each call may be the last one of the task, before it or behind it."""

    port: Any
    dies: Any

    def __getattr__(self, name: str) -> Any:
        """The port's own, or a method that may be died in."""
        found = getattr(self.port, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*given: Any, **named: Any) -> Any:
            self.dies()
            answer = await found(*given, **named)
            self.dies()
            return answer

        return call
