"""A planned download in memory, as somebody started it over HTTP, and its worker."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.devices import Device
from service.domain.downloads import DownloadRecord, TargetKind, jobs_of
from service.domain.instants import milliseconds
from service.domain.people import Person
from service.domain.rollouts import PlannedRollout, Reach, Shape
from service.operations.downloads import advance
from service.settings import JobSettings
from tests.service.operations.fleet import BEGAN, ULID, Fleet

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool

BOSS = "boss-1"


async def begin_planned(
    pools: tuple[MemoryUserPool, MemoryUserPool],
    authorizer: CedarAuthorizer,
    *,
    devices: int,
    shape: Shape,
    needs_approval: bool = False,
) -> Fleet:
    """A manager's planned download to so many devices, handed to the worker and not begun."""
    ports = MemoryPorts.around(authorizer)
    pools[0].join(ports)
    ports.clock.now = BEGAN
    tenant = pools[0].tenant
    ports.people.add("acme", boss())
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
        created_by=f"{tenant.pool_id}|{BOSS}",
        created_at=milliseconds(BEGAN),
        devices=devices,
        rollout=PlannedRollout(
            shape=shape,
            waves=shape.sizes(devices),
            reach=Reach(targets=devices),
            requester=BOSS,
            needs_approval=needs_approval,
        ),
    )
    await ports.deliveries.plan(tenant, record, tuple(jobs_of(members, record.waves)))
    await ports.download_records.create(tenant, record, None)
    await ports.work_queue.send([advance(tenant, ULID)])
    settings = JobSettings(devices_per_minute=10_000, download_days=30, jobs_per_second=10_000)
    return Fleet(ports=ports, tenant=tenant, settings=settings, record=record, members=members)


def boss(*, enabled: bool = True, groups: tuple[str, ...] = ("managers",)) -> Person:
    """Who asked for it, as the user pool shows them."""
    person = Person(id=BOSS, subject=BOSS, email="boss@acme.test", state="active", enabled=True)
    return replace(person, enabled=enabled, groups=groups)


def reached(fleet: Fleet) -> list[str]:
    """Devices of all jobs that were made, a device as often as it is in one."""
    return [one for job in fleet.ports.download_jobs.made.values() for one in job.members]
