"""A download under an idempotency key is made once: asked for by many at once, or cut off."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.memory_ports import MemoryPorts
from service.cedar.decision import Allowed
from service.domain.artifacts import Artifact
from service.domain.devices import Device
from service.domain.downloads import TargetKind
from service.domain.permissions import Permission
from service.errors import CedarfleetError, IdempotencyMismatchError
from service.operations.authorization import Access, RequestFacts
from service.operations.downloads import DownloadRequest
from service.operations.operations import Operations
from service.settings import JobSettings, TokenSettings
from tests.seed import new_seed
from tests.service.operations.fleet import DiedError, mortal
from tests.service.operations.policies import Advice, Policies

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.identities import Principal

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
MEMBERS = tuple(f"d{number:03}" for number in range(250))
REQUEST = DownloadRequest(
    target_kind=TargetKind.GROUP,
    target="all",
    artifact="recipes/steel.json",
    idempotency_key="k",
)


class Caller:
    """Somebody who asks for a file to all of 250 devices, and the worker."""

    def __init__(self, pools: Pools, principal: Principal) -> None:
        self.ports = MemoryPorts.around(Policies([Allowed(policies=())]))
        pools[0].join(self.ports)
        self.principal = principal
        for member in MEMBERS:
            self.ports.devices.add(Device(tenant="acme", id=member))
        self.ports.artifacts.add(
            Artifact(tenant="acme", name="recipes/steel.json", size=1, sha256="ab" * 32, etag='"e"')
        )

    async def ask(self, ports: MemoryPorts, request: DownloadRequest = REQUEST) -> str:
        """Ask once; the download's id."""
        access = Access(
            principal=self.principal,
            facts=RequestFacts(request_id="request-1", source_ip=None),
            declared=frozenset({Permission.DOWNLOAD_FILE}),
            authorizer=ports.authorizer,
            adviser=Advice(ports.authorizer),
            audit=ports.audit,
            clock=ports.clock,
        )
        record = await Operations(ports, TokenSettings()).downloads.start(access, request)
        return record.download_id

    async def work(self) -> list[str]:
        """Have the worker do what waits; the devices of all jobs that are made then."""
        worker = Operations(self.ports, TokenSettings()).worker(
            JobSettings(devices_per_minute=10_000, jobs_per_second=1_000)
        )
        while self.ports.work_queue.waiting:
            for received in await self.ports.work_queue.receive():
                await worker.handle(received)
        return sorted(
            device for job in self.ports.download_jobs.made.values() for device in job.members
        )

    def recorded(self) -> list[str]:
        """The downloads that there are."""
        return [made for _, made in self.ports.download_records.once.records]


def test_many_at_once_make_one_download(pools: Pools, principal: Principal) -> None:
    """Fifty with one key: one record, each device in one job; another request under it is none."""

    async def scenario() -> None:
        caller = Caller(pools, principal)
        made = await asyncio.gather(*(caller.ask(caller.ports) for _ in range(50)))
        assert caller.recorded() == list(set(made))
        assert await caller.work() == list(MEMBERS)
        other = DownloadRequest(
            target_kind=TargetKind.DEVICE,
            target="d001",
            artifact="recipes/steel.json",
            idempotency_key="k",
        )
        with pytest.raises(IdempotencyMismatchError):
            await caller.ask(caller.ports, other)
        assert len(caller.recorded()) == 1

    asyncio.run(scenario())


def test_one_that_is_cut_off_anywhere_is_made_once(pools: Pools, principal: Principal) -> None:
    """Before or behind any call: repeated under its key until it is answered, it is one."""
    random = Random(new_seed())  # noqa: S311 - of where it is cut off
    names = ("download_records", "deliveries", "work_queue", "audit", "devices", "artifacts")

    async def scenario() -> None:
        for _ in range(20):
            caller = Caller(pools, principal)

            def dies() -> None:
                if random.random() < 0.15:
                    raise DiedError

            dying = mortal(caller.ports, dies, *names)
            answered: str | None = None
            while answered is None:
                try:
                    answered = await caller.ask(dying)
                except (DiedError, CedarfleetError):
                    # The worker goes on meanwhile with whatever was handed to it.
                    await caller.work()
            assert caller.recorded() == [answered]
            assert await caller.work() == list(MEMBERS)

    asyncio.run(scenario())
