"""What one tenant at fifty times its budget does to the requests of another one.

One process of the service, whole, over twins whose answers take as long as AWS's; the requests come
by ASGI, so that no client's work is measured.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.devices import MemoryDevices
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.devices import Device
from service.domain.rates import Budget, Rate
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings
from tests.benchmarks.rows import Row, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

_POLICIES: Final = Path(__file__).parents[2] / "policies"
_SECONDS: Final = 4.0
_QUIET_PER_SECOND: Final = 25
_BUDGET: Final = Rate(per_second=10, burst=10)
_TIMES: Final = 50
# Typical of calls within a region, warm.
_DECISION_SECONDS: Final = 0.025
_READ_SECONDS: Final = 0.005


class _SlowAuthorizer(CedarAuthorizer):
    """Answers as late as a policy store."""

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        await asyncio.sleep(_DECISION_SECONDS)
        return await super().decide(principal, request)


class _SlowDevices(MemoryDevices):
    """Answers as late as a table."""

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        await asyncio.sleep(_READ_SECONDS)
        return await super().find(tenant, device_id)


@dataclass
class _Service:
    """The application, and a token of each tenant."""

    app: Any
    quiet: str
    noisy: str

    async def get(self, token: str) -> int:
        """The status of one request."""
        scope: dict[str, Any] = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/v1/devices/press-01", "raw_path": b"/v1/devices/press-01", "root_path": "",
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("service", 80),
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }  # fmt: skip
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.app(scope, receive, send)
        return statuses[0]

    async def p95(self, flood: int) -> float:
        """Milliseconds of the quiet tenant's requests while the other sends so many a second."""
        took: list[float] = []

        async def measured() -> None:
            begun = time.perf_counter()
            if await self.get(self.quiet) != 200:
                raise AssertionError("the quiet tenant was not served")
            took.append((time.perf_counter() - begun) * 1000)

        async with asyncio.TaskGroup() as open_requests:
            await asyncio.gather(
                _paced(_QUIET_PER_SECOND, lambda: open_requests.create_task(measured())),
                _paced(flood, lambda: open_requests.create_task(self.get(self.noisy))),
            )
        return quantiles(took, n=20)[-1]


def rows(rounds: int) -> Iterator[Row]:
    """The quiet tenant's p95 beside the flood, and without."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    service = _made()
    flood = _TIMES * _BUDGET.per_second
    beside, alone = interleaved(
        rounds, lambda: asyncio.run(service.p95(flood)), lambda: asyncio.run(service.p95(0))
    )
    structlog.reset_defaults()
    yield compare(
        name=f"p95 of a tenant beside one that sends {flood} requests a second, {_TIMES} x its own",
        ours=beside,
        reference=alone,
        unit="ms",
        at_most=1.2,
        note="one process on one core; the reference is the same without the other tenant",
    )


async def _paced(per_second: int, begin: Any) -> None:
    """Begin so many requests a second, whether or not the earlier ones are answered."""
    begun = time.perf_counter()
    for number in range(round(per_second * _SECONDS)):
        await asyncio.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
        begin()


def _made() -> _Service:
    quiet = MemoryUserPool("quiet")
    noisy = MemoryUserPool("noisy", budgets=dict.fromkeys(Budget, _BUDGET))
    devices = _SlowDevices()
    ports = MemoryPorts.around(_SlowAuthorizer(_POLICIES), devices=devices)
    for pool in (quiet, noisy):
        pool.join(ports)
        devices.add(Device(tenant=pool.tenant.id, id="press-01"))
    app = create_app(Operations(replace(ports), TokenSettings()), HttpSettings())
    tokens = [pool.id_token("boss", ["managers"]) for pool in (quiet, noisy)]
    return _Service(app, *tokens)
