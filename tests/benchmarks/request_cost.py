"""What a request costs the service, in CPU: beside a route without work, and as tenants grow.

The service is whole, a process on one core; load and AWS's recorded answers are on the other one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.measured_service import RecordedPlatform
from tests.benchmarks.rows import Row, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.measured_service import Served

_REQUESTS: Final = 300  # of one figure
_CONNECTIONS: Final = 16
_MANY: Final = 1000  # tenants
_BARE: Final = ("tests.benchmarks.bare_route",)
_BEFORE: Final = ("tests.benchmarks.service_on_boto3",)
_SATURATION: Final = 0.7
_SETTLE_SECONDS: Final = 30
_QUIET_PER_SECOND: Final = 25
_HANGING_PER_SECOND: Final = 40


@dataclass(frozen=True)
class Route:
    """A route, and how many times the CPU of a bare one it may take.

    Attributes:
        name: of the route, as the API has it.
        at_most: of a bare route.
        body: what is sent.
        status: what a request is answered with.
        less_than_before: times less CPU than on boto3; not asked if ``None``.
    """

    name: str
    at_most: float
    body: dict[str, Any] | None = None
    status: int = 200
    less_than_before: float | None = None

    def request(
        self, platform: RecordedPlatform, *, tenant: int = 0, device: str = "press-07"
    ) -> bytes:
        """The bytes of a request."""
        method, _, path = self.name.partition(" ")
        path = path.replace("{device}", device)
        return platform.request(method, path, tenant=tenant, body=self.body)


ROUTES: Final = (
    Route("GET /v1/me", 5),
    Route("GET /v1/devices/{device}", 5, less_than_before=15),
    Route("GET /v1/devices?limit=100", 5, less_than_before=15),
    Route(
        "POST /v1/devices/{device}/commands",
        8,
        body={"name": "reboot"},
        status=202,
        less_than_before=15,
    ),
)


def rows(rounds: int) -> Iterator[Row]:
    """CPU of each route, its growth with tenants and devices, and its latencies under load."""
    with (
        RecordedPlatform.of(_MANY) as platform,
        platform.service() as ours,
        platform.service(_BARE) as bare,
    ):
        empty = [platform.request("GET", "/v1/devices/press-07")] * 2000
        for route in ROUTES:
            sent = [route.request(platform)] * _REQUESTS
            _warm(ours, sent, route)
            figures = interleaved(
                rounds,
                lambda sent=sent, route=route: _cpu(ours, sent, route),
                lambda: bare.send(empty, connections=_CONNECTIONS).cpu_ms,
            )
            yield compare(
                name=f"CPU of {route.name}",
                ours=figures[0],
                reference=figures[1],
                unit="ms",
                at_most=route.at_most,
                note="beside a route of Litestar that answers a constant",
            )
        with platform.service(_BEFORE) as before:
            for route in ROUTES:
                if route.less_than_before is not None:
                    yield _beside_boto3(platform, ours, before, route, rounds)
        yield from _growth(platform, ours, rounds)
        yield _patience(platform, ours, rounds)
    with RecordedPlatform.of(2, hanging=1) as platform, platform.service() as ours:
        yield _beside_a_hanging_one(platform, ours, rounds)


def _beside_boto3(
    platform: RecordedPlatform, ours: Served, before: Served, route: Route, rounds: int
) -> Row:
    """The same adapters on boto3 in threads, reads decided by the store."""
    sent = [route.request(platform)] * _REQUESTS
    few = sent[: _REQUESTS // 3]
    _warm(ours, sent, route)
    _warm(before, few, route)
    figures = interleaved(rounds, lambda: _cpu(before, few, route), lambda: _cpu(ours, sent, route))
    return compare(
        name=f"CPU of {route.name} on boto3, beside ours",
        ours=figures[0],
        reference=figures[1],
        unit="ms",
        at_least=route.less_than_before,
        note="the same adapters in 32 threads, each decision asked of the store",
    )


def _growth(platform: RecordedPlatform, ours: Served, rounds: int) -> Iterator[Row]:
    """A read of one device for each of 10, 100, 1,000 tenants; and of 100 and 10,000 devices."""
    read = ROUTES[1]
    for name, few, many in (
        ("100 tenants beside 10", _tenants(platform, 10), _tenants(platform, 100)),
        ("1,000 tenants beside 10", _tenants(platform, 10), _tenants(platform, _MANY)),
        ("10,000 devices beside 100", _devices(platform, 100), _devices(platform, 10_000)),
    ):
        # Long enough for the copies of all these tenants' policies to be made, and looked at again.
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            _warm(ours, few(1), read)
            _warm(ours, many(1), read)
        figures = interleaved(
            rounds,
            lambda many=many: _cpu(ours, many(_REQUESTS), read),
            lambda few=few: _cpu(ours, few(_REQUESTS), read),
        )
        yield compare(
            name=f"CPU of {read.name}, {name}",
            ours=figures[0],
            reference=figures[1],
            unit="ms",
            at_most=1.1,
            note=f"{ours.resident_bytes >> 20} MiB resident by then",
        )


def _patience(platform: RecordedPlatform, ours: Served, rounds: int) -> Row:
    """The slowest of a hundred requests at 70 % of what the service can do."""
    read = ROUTES[1]
    request = read.request(platform)
    _warm(ours, [request] * _REQUESTS, read)
    saturated = ours.send([request] * (4 * _REQUESTS), connections=_CONNECTIONS)
    rate = _SATURATION * len(saturated.latencies) / saturated.seconds
    slow: list[float] = []
    middle: list[float] = []
    for _ in range(rounds):
        latencies = asyncio.run(ours.send_paced(request, rate, seconds=4))
        slow.append(quantiles(latencies, n=100)[-1] * 1000)
        middle.append(median(latencies) * 1000)
    return compare(
        name=f"p99 of {read.name} beside its p50",
        ours=slow,
        reference=middle,
        unit="ms",
        at_most=10,
        note=f"{rate:.0f} requests a second, {_SATURATION:.0%} of what it can do",
    )


def _beside_a_hanging_one(platform: RecordedPlatform, ours: Served, rounds: int) -> Row:
    """A tenant's slow requests beside another one's, of whose devices table no answer comes."""
    read = ROUTES[1]
    quiet, hanging = (read.request(platform, tenant=number) for number in range(2))
    ours.send([quiet] * _REQUESTS, connections=_CONNECTIONS)

    async def p95(others: float) -> float:
        async with asyncio.TaskGroup() as group:
            if others:
                flood = ours.send_paced(hanging, others, seconds=3, status=None)
                group.create_task(flood)
            took = await ours.send_paced(quiet, _QUIET_PER_SECOND, seconds=3)
        return quantiles(took, n=20)[-1] * 1000

    beside, alone = interleaved(
        rounds, lambda: asyncio.run(p95(_HANGING_PER_SECOND)), lambda: asyncio.run(p95(0))
    )
    return compare(
        name="p95 of a tenant beside one whose devices table hangs",
        ours=beside,
        reference=alone,
        unit="ms",
        at_most=1.2,
        note=f"{_QUIET_PER_SECOND} requests a second, and {_HANGING_PER_SECOND} of the other one",
    )


def _tenants(platform: RecordedPlatform, count: int) -> Callable[[int], list[bytes]]:
    every = [ROUTES[1].request(platform, tenant=number) for number in range(count)]
    return lambda least: _drawn(every, least)


def _devices(platform: RecordedPlatform, count: int) -> Callable[[int], list[bytes]]:
    every = [ROUTES[1].request(platform, device=f"press-{one:05}") for one in range(count)]
    # The recorded answers of so many would be made while they are measured.
    return lambda least: _drawn(every[:: max(1, count // least)], least)


def _drawn(every: list[bytes], least: int) -> list[bytes]:
    """Each as often as any other, at least so many in all."""
    return every * max(1, -(-least // len(every)))


def _warm(ours: Served, sent: list[bytes], route: Route) -> None:
    ours.send(sent, connections=_CONNECTIONS, status=route.status)


def _cpu(ours: Served, sent: list[bytes], route: Route) -> float:
    return ours.send(sent, connections=_CONNECTIONS, status=route.status).cpu_ms
