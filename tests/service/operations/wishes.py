"""A wish in memory, as somebody set it over HTTP, the devices that it is for, and their worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.memory.budgets import MemoryBuckets
from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.devices import Device
from service.domain.downloads import DeliveryState, Outcome
from service.domain.files import FileState, FileVersion, Package
from service.domain.instants import milliseconds
from service.domain.rollouts import Reach
from service.domain.wanted_versions import WantedVersion
from service.operations.operations import Operations
from service.operations.wish_messages import look_at
from service.settings import JobSettings, TokenSettings
from tests.service.operations.fleet import BEGAN
from tests.service.operations.rollouts import BOSS, boss

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.budgets import Bucket, Grant
    from service.domain.tenants import Tenant

PACKAGE: Final = "press-controller"
FILE: Final = "01JD0000000000000000000001"
WISH: Final = "01JD0000000000000000000002"


class Plenty(MemoryBuckets):
    """Buckets that are always full: here the clock stands still, and nobody may wait for it."""

    async def take(self, bucket: Bucket, **asked: Any) -> Grant:
        """As from a full bucket."""
        self.rows.clear()
        return await super().take(bucket, **asked)


@dataclass
class Site:
    """Devices, a wish, its worker, and a clock."""

    ports: MemoryPorts
    tenant: Tenant
    settings: JobSettings

    @property
    def now(self) -> datetime:
        """The time."""
        assert self.ports.clock.now is not None
        return self.ports.clock.now

    def add(self, *names: str, **facts: Any) -> None:
        """Put devices into the line of presses, or where ``facts`` say."""
        for name in names:
            facts = {"groups": ("line-press",), **facts}
            self.ports.devices.add(Device(tenant="acme", id=name, **facts))

    def wish(self, group: str = "line-press") -> WantedVersion:
        """The wish as it is now."""
        return self.ports.wanted_versions.rows["acme", PACKAGE, group]

    async def want(self, wish: WantedVersion) -> None:
        """Set a wish, as the service does, and tell the worker."""
        rows = self.ports.wanted_versions
        former = rows.rows.get(("acme", PACKAGE, wish.group))
        revision = former.revision if former else 0
        assert await rows.put(self.tenant, replace(wish, revision=revision)) is not None
        told = [one for one in (former, wish) if one is not None]
        await self.ports.work_queue.send([look_at(self.tenant, one) for one in told])

    async def work(self, ports: MemoryPorts | None = None) -> None:
        """Do all that waits."""
        worker = Operations(ports or self.ports, TokenSettings()).worker(self.settings)
        while self.ports.work_queue.waiting:
            for received in await self.ports.work_queue.receive():
                await worker.handle(received)

    async def pass_time(self, time: timedelta, ports: MemoryPorts | None = None) -> None:
        """Let time pass, and do what is due on the way."""
        await self.work(ports)
        until = self.now + time
        while True:
            due = [at for at, _ in self.ports.timers.set_for.values() if at <= until]
            self.ports.clock.now = max(self.now, min(due)) if due else until
            await self.ports.work_queue.send(self.ports.timers.due(self.now))
            await self.work(ports)
            if not due:
                return

    def reached(self) -> list[str]:
        """Devices of all jobs that were made, a device as often as it is in one."""
        made = self.ports.download_jobs.made.values()
        return [one for job in made for one in job.members]

    def end(self, state: DeliveryState, *devices: str) -> None:
        """Have these devices, or all, end each job that they have and have not ended."""
        deliveries, outcome = self.ports.deliveries, Outcome(state=state, at=milliseconds(self.now))
        for record in list(self.ports.download_records.once.records.values()):
            [job] = deliveries.planned[record.name].values()
            made = self.ports.download_jobs.made.get(job.id_in(record))
            ended = deliveries.ends.get((record.name, job.number), {})
            for device in made.members if made else ():
                if device not in ended and (not devices or device in devices):
                    deliveries.end(record, device, outcome)

    def there(self, version: str = "2.0") -> list[str]:
        """Devices that run a version, as is known."""
        rows = self.ports.running_versions.rows.values()
        return sorted(one.device for one in rows if one.version == version)


def site(
    pools: tuple[MemoryUserPool, MemoryUserPool], authorizer: CedarAuthorizer, *devices: str
) -> Site:
    """These devices in the line of presses, and files 2.0 and 3.0 of their package."""
    ports = replace(MemoryPorts.around(authorizer), buckets=Plenty())
    pools[0].join(ports)
    ports.clock.now = BEGAN
    ports.people.add("acme", boss())
    settings = JobSettings(devices_per_minute=10_000, download_days=7, jobs_per_second=10_000)
    made = Site(ports=ports, tenant=pools[0].tenant, settings=settings)
    made.add(*devices)
    for number, version in ((FILE, "2.0"), (FILE[:-1] + "3", "3.0")):
        ports.file_records.once.records["acme", number] = FileVersion(
            file_id=number,
            tenant="acme",
            name=f"apps/press-{version}.bin",
            size=20,
            sha256="ab" * 32,
            part_size=20,
            upload="u",
            created_by="somebody",
            created_at=0,
            changed_at=0,
            package=Package(name=PACKAGE, version=version),
            state=FileState.AVAILABLE,
            etag='"e"',
            version="v",
            revision=1,
        )
    return made


def wanted(where: Site, group: str = "line-press", **changes: Any) -> WantedVersion:
    """A manager's wish for version 2.0."""
    plain = WantedVersion(
        wish_id=WISH,
        tenant="acme",
        group=group,
        package=PACKAGE,
        version="2.0",
        file_id=FILE,
        artifact="apps/press-2.0.bin",
        created_by=f"{where.tenant.pool_id}|{BOSS}",
        requester=BOSS,
        created_at=milliseconds(BEGAN),
        reach=Reach(targets=1),
        devices_per_hour=6_000,
    )
    return replace(plain, **changes)
