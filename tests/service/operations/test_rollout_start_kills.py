"""A service task that dies in starting a plan: asked again, it is one download, to each once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from service.domain.downloads import DownloadRecordState
from service.domain.people import Person
from service.domain.permissions import Permission
from service.operations.authorization import RequestFacts
from service.operations.operations import Operations
from service.settings import JobSettings, TokenSettings
from tests.service.api.test_plans import plan
from tests.service.operations.fleet import DiedError, mortal

if TYPE_CHECKING:
    from service.adapters.memory.memory_ports import MemoryPorts
    from tests.service.conftest import ServiceUnderTest

PORTS = ("plans", "download_records", "deliveries", "work_queue", "devices", "audit", "artifacts")
PRESSES = ["press-01", "press-02", "press-03"]


async def start(service: ServiceUnderTest, ports: MemoryPorts, plan_id: str) -> None:
    """Start the plan by a service task over these ports, as the manager who made it."""
    operations = Operations(ports, TokenSettings())
    try:
        token = service.acme.id_token("managers", ["managers"])
        access = operations.access(
            await operations.authenticate(f"Bearer {token}"),
            facts=RequestFacts(request_id="r", source_ip=None),
            declared=frozenset(Permission),
        )
        await operations.planned_downloads.start(access, plan_id)
    finally:
        await operations.close()


async def work(service: ServiceUnderTest) -> None:
    """Have a worker do all that waits."""
    queue = service.ports.work_queue
    worker = Operations(service.ports, TokenSettings()).worker(JobSettings())
    while queue.waiting:
        for received in await queue.receive():
            await worker.handle(received)


def test_a_task_that_dies_in_a_start_starts_once(service: ServiceUnderTest) -> None:
    """At each call in turn, before it and behind it."""
    subject = service.acme.claims("managers")["sub"]
    manager = Person(
        id="managers", subject=subject, email="m@acme.test", state="active", enabled=True
    )
    service.ports.people.add("acme", replace(manager, groups=("managers",)))
    at_call, lived = 0, False
    while not lived:
        at_call += 1
        plan_id = plan(service)["id"]
        calls = 0

        def dies(at_call: int = at_call) -> None:
            nonlocal calls
            calls += 1
            if calls == at_call:
                raise DiedError

        async def scenario(plan_id: str = plan_id) -> bool:
            try:
                await start(service, mortal(service.ports, dies, *PORTS), plan_id)
            except DiedError:
                await start(service, service.ports, plan_id)
                return False
            return True

        lived = asyncio.run(scenario())
        asyncio.run(work(service))
        record = service.ports.download_records.once.records["acme", plan_id]
        assert record.state is DownloadRecordState.STARTED, at_call
        jobs = [job for name, job in service.ports.download_jobs.made.items() if plan_id in name]
        reached = sorted(member for job in jobs for member in job.members)
        assert reached == PRESSES, f"died at call {at_call}"
    assert at_call > 10
