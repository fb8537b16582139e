"""A tenant of 10,000 devices: the real service and worker over the twins, in a process of its own.

Run as ``python -m tests.service.large_fleet``: says as a line of JSON where it listens and which
token somebody of each group has, and serves until its standard input ends. The embedded cloud looks
through a table for each question, so with 30,000 rows it is what would be measured.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import structlog

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.bounded_server import BoundedServer, listen_on
from service.domain.artifacts import Artifact
from service.domain.devices import Connectivity, Device, ReportedVersions
from service.domain.permissions import Permission
from service.operations.operations import Operations
from service.ports.metrics import UNMEASURED
from service.settings import HttpSettings, JobSettings, TokenSettings
from tests.service.stamped_policies import lendable, stamped

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import BrowserContext

    from service.adapters.memory.work import MemoryWorkQueue
    from service.operations.worker import Worker

NUMBER: Final = 10_000
TENANT: Final = "acme"
HALLS: Final = 40
FILE: Final = "recipes/steel.json"
_POLICIES: Final = Path(__file__).parents[2] / "policies"
_BORN_MS: Final = 1_790_000_000_000
_COMMANDS: Final = 120
_COMMAND_TYPES: Final = {
    "reboot": Permission.OPERATE_DEVICE,
    "stop": Permission.STOP_DEVICE,
    "run-diagnostics": Permission.MAINTAIN_DEVICE,
}
_PUMP_SECONDS: Final = 0.02


def device_id(number: int) -> str:
    """Of the device of a number from 0 on; in the order of the numbers."""
    return f"press-{number:05}"


@dataclass(frozen=True, kw_only=True)
class LargeFleet:
    """Where it is served, and who may see it.

    Attributes:
        console: the address of the tenant's console.
        tokens: group -> ID token of somebody in it.
    """

    console: str
    tokens: dict[str, str]

    @classmethod
    @contextmanager
    def served(cls) -> Generator[LargeFleet]:
        """Start the process; it is stopped in the end."""
        with subprocess.Popen(
            [sys.executable, "-m", "tests.service.large_fleet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                yield cls(**json.loads(process.stdout.readline()))
            finally:
                process.communicate(timeout=30)

    def sign_in(self, window: BrowserContext, group: str = "managers") -> None:
        """Give a window the tab's session that the sign-in page's answer would become."""
        session = json.dumps({"token": self.tokens[group], "refresh": "none", "until": 2**52})
        window.add_init_script(
            f"sessionStorage.setItem('session.{TENANT}', {json.dumps(session)});"
        )


def _devices() -> Generator[Device]:
    for number in range(NUMBER):
        versions = {"firmware": f"2.{number % 7}.0", "recipes": f"1.{number % 3}"}
        yield Device(
            tenant=TENANT,
            id=device_id(number),
            groups=("line-press", f"hall-{number % HALLS}"),
            attributes={
                "kind": "press",
                "region": "eu-central",
                "criticality": "high" if number % 10 == 0 else "low",
                "utc_offset": "+01:00",
            },
            tags={"building": f"hall {number % HALLS}"},
            connectivity=Connectivity(connected=number % 5 != 0, since_ms=_BORN_MS + number),
            reported=ReportedVersions(at=_BORN_MS, agent="0.1.0", packages=versions),
        )


async def _fill(app: Any, token: str) -> None:
    """Ask for what a fleet's pages list; what the policies refuse there is refused."""
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://fleet.test", headers=headers
    ) as asked:
        for number in range(_COMMANDS):
            name = ("reboot", "run-diagnostics")[number % 2]
            command = {"name": name, "arguments": {}}
            path = f"/v1/devices/{device_id(number * 7)}/commands"
            (await asked.post(path, json=command)).raise_for_status()
            file = {"artifact": FILE, "device": device_id(number * 11)}
            (await asked.post("/v1/downloads", json=file)).raise_for_status()


async def _work(worker: Worker, queue: MemoryWorkQueue) -> None:
    """Hand the worker what is due, as the queue does."""
    loop = asyncio.get_running_loop()
    while True:
        for seconds, work in queue.delayed:
            loop.call_later(seconds, lambda one=work: asyncio.ensure_future(queue.send([one])))
        queue.delayed.clear()
        for received in await queue.receive():
            await worker.handle(received)
        await asyncio.sleep(_PUMP_SECONDS)


async def _serve() -> None:
    groups = {"line-press": (), "line-pump": (), **{f"hall-{hall}": () for hall in range(HALLS)}}
    pool = MemoryUserPool(TENANT, commands=_COMMAND_TYPES, groups=groups, templates=lendable())
    ports = MemoryPorts.around(CedarAuthorizer(_POLICIES))
    pool.join(ports)
    # Reads are decided by a copy of the store, as in a service that runs.
    ports.policy_stores.stamp(pool.tenant, stamped(pool.tenant))
    for device in _devices():
        ports.devices.add(device)
        if device.reported is not None:
            ports.devices.says(TENANT, device.id, device.reported)
    ports.artifacts.add(
        Artifact(tenant=TENANT, name=FILE, size=1024, sha256="ab" * 32, etag='"e1"')
    )
    operations = Operations(ports, TokenSettings())
    listener = listen_on("127.0.0.1", 0)
    http = HttpSettings(port=listener.getsockname()[1])
    app = create_app(operations, http)
    tokens = {
        group: pool.id_token(group, [group], **{"custom:region": "eu-central"})
        for group in ("managers", "operators")
    }
    if not await operations.decisions.prepare(pool.tenant):
        raise AssertionError("reads are not decided by a copy of the policies")
    await _fill(app, tokens["managers"])
    working = asyncio.ensure_future(_work(operations.worker(JobSettings()), ports.work_queue))
    server = BoundedServer(app, http, UNMEASURED, heeds_signals=False)
    serving = asyncio.ensure_future(server.serve([listener]))
    url = f"http://localhost:{http.port}/console/{TENANT}/"
    print(json.dumps({"console": url, "tokens": tokens}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    working.cancel()
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await asyncio.gather(serving, working)


if __name__ == "__main__":
    # What is said on standard output is where it listens, alone.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_serve())
