"""Failures that are caused here ring their alarms: the product's own metrics, the stack's alarm.

The service runs over its twins; what it measured is told as it tells CloudWatch, and each alarm is
evaluated by its own definition of the stamped platform. What only AWS measures (the load balancer,
queues, tables, certificates) is in test_alarms.py with made-up values: *not run*.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from litestar.testing import TestClient

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.adapters.metrics.embedded_format import EmbeddedFormat
from service.adapters.metrics.process_metrics import ProcessMetrics
from service.api.app import create_app
from service.domain.audit_entries import Entry
from service.domain.devices import Device
from service.domain.isolation import Part
from service.domain.work import Work, WorkKind
from service.operations.isolation_canary import IsolationCanary
from service.operations.operations import Operations
from service.settings import HttpSettings, JobSettings, TokenSettings
from tests.infra.conftest import ROOT
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.infra.conftest import Project

MINUTES: Final = 5
AT: Final = 1_790_000_000_000
JOB: Final = "acme--01JD0000000000000000000000-01"
Point = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(kw_only=True)
class Running:
    """The service, and what it tells CloudWatch of each minute."""

    client: TestClient[Any]
    operations: Operations
    ports: MemoryPorts
    pool: MemoryUserPool
    telling: EmbeddedFormat
    _moments: Iterator[int] = field(default_factory=lambda: count(AT))

    def minute(self) -> dict[Point, float]:
        """What is told of the minute that has passed: the sum of each metric's values."""
        told: dict[Point, float] = defaultdict(float)
        for line in self.telling.lines(AT):
            for directive in line["_aws"]["CloudWatchMetrics"]:
                (dimensions,) = directive["Dimensions"]
                by = tuple(sorted((name, str(line[name])) for name in dimensions))
                for metric in directive["Metrics"]:
                    told[directive["Namespace"], metric["Name"], by] += line[metric["Name"]]
        return told

    def ask(self, times: int, *, token: str, path: str = "/v1/audit") -> set[int]:
        """So many requests with a token; the answers' statuses."""
        headers = {"Authorization": f"Bearer {token}"}
        return {self.client.get(path, headers=headers).status_code for _ in range(times)}

    def tried(self) -> None:
        """Have the worker try the boundary between acme and globex, once."""
        canary = IsolationCanary(
            tenants=self.ports.tenants,
            probes=self.ports.isolation,
            metrics=self.ports.metrics,
            pair=("acme", "globex"),
        )
        asyncio.run(canary.once())

    def tell(self, times: int, **about: str) -> None:
        """Have the worker told by a rule of IoT Core, so often, each time something new."""
        worker, queue = self.operations.worker(JobSettings()), self.ports.work_queue
        common = {"version": 1, "kind": "tell-event", "tenant": "acme"}

        async def scenario() -> None:
            # As many as SQS gives out at a time.
            for start in range(0, times, 10):
                texts = [
                    json.dumps(common | {"at": next(self._moments), **about})
                    for _ in range(start, min(start + 10, times))
                ]
                await queue.send([Work.decode(text) for text in texts])
                while queue.waiting:
                    for received in await queue.receive():
                        await worker.handle(received)
                assert not queue.postponed

        asyncio.run(scenario())


@pytest.fixture
def running() -> Iterator[Running]:
    """A fresh service, with metrics as a process of it keeps them."""
    metrics = ProcessMetrics()
    made: Any = MemoryPorts.around(CedarAuthorizer(ROOT / "policies"))
    ports: Any = replace(made, metrics=metrics)
    pool = MemoryUserPool("acme")
    pool.join(ports)
    MemoryUserPool("globex").join(ports)
    ports.devices.add(Device(tenant="acme", id="press-01", attributes={}))
    operations = Operations(ports, TokenSettings())
    with TestClient(create_app(operations, HttpSettings())) as client:
        yield Running(
            client=client,
            operations=operations,
            ports=ports,
            pool=pool,
            telling=EmbeddedFormat(metrics),
        )


def ringing(project: Project, minutes: list[dict[Point, float]]) -> set[str]:
    """The alarms on the service's own metrics that ring after these minutes."""
    found: set[str] = set()
    for one in resources(project.root, "platform"):
        alarm = one.inputs
        if "metricAlarm" not in one.kind or alarm.get("namespace") != "Cedarfleet/Service":
            continue
        assert alarm["statistic"] == "Sum"
        if rings(alarm, minutes):
            found.add(alarm["name"].removeprefix("cedarfleet-"))
    return found


def rings(alarm: Mapping[str, Any], minutes: list[dict[Point, float]]) -> bool:
    """Whether enough periods of the alarm breach its threshold (source: CloudWatch's guide)."""
    by = tuple(sorted(alarm.get("dimensions", {}).items()))
    point = (alarm["namespace"], alarm["metricName"], by)
    length = int(alarm["period"]) // 60
    periods = [minutes[start : start + length] for start in range(0, len(minutes), length)]
    wrong = [
        breaches(alarm, [minute[point] for minute in period if point in minute])
        for period in periods[-int(alarm["evaluationPeriods"]) :]
    ]
    return sum(wrong) >= int(alarm["datapointsToAlarm"])


def breaches(alarm: Mapping[str, Any], values: list[float]) -> bool:
    """Whether a period with these values is wrong."""
    if not values:
        return alarm["treatMissingData"] == "breaching"
    if alarm["comparisonOperator"] == "LessThanThreshold":
        return sum(values) < alarm["threshold"]
    assert alarm["comparisonOperator"] == "GreaterThanThreshold"
    return sum(values) > alarm["threshold"]


def denied(running: Running) -> None:
    """Somebody asks again and again for what policies refuse."""
    token = running.pool.id_token("op", ["operators"])
    assert running.ask(650, token=token) == {403}


def forged(running: Running) -> None:
    """Somebody writes tokens by themselves."""
    token = running.pool.id_token("op", ["managers"])
    assert running.ask(320, token=token[:-8] + "AAAAAAAA") == {401}


def lost(running: Running) -> None:
    """Connections end, as IoT Core tells of a keep-alive that did not come."""
    running.tell(
        310,
        happened="device.disconnected",
        thing="acme--press-01",
        connection="1",
        reason="MQTT_KEEP_ALIVE_TIMEOUT",
    )


def failing(running: Running) -> None:
    """A file does not arrive."""
    running.tell(12, happened="delivery.state", thing="acme--press-01", job=JOB, state="FAILED")


def trail_changed(running: Running) -> None:
    """Somebody who can write to the table makes an approval of a refusal in it."""
    worker = running.operations.worker(JobSettings())

    async def work(kind: WorkKind) -> None:
        tenant = running.pool.tenant
        await worker.handlers[kind](tenant, Work(kind=kind, issuer=tenant.issuer, tenant="acme"))

    running.ask(1, token=running.pool.id_token("op", ["operators"]))
    asyncio.run(work(WorkKind.CHAIN_AUDIT))
    kept = running.ports.audit_entries.kept["acme"]
    for entry_id, entry in kept.items():
        kept[entry_id] = Entry.read(entry.text.replace('"DENY"', '"ALLOW"'))
    asyncio.run(work(WorkKind.VERIFY_AUDIT))


def boundary_opened(running: Running) -> None:
    """Somebody gives acme's role the rights to globex's rows too."""
    running.ports.isolation.open = {("acme", Part.DEVICES, "globex")}
    running.tried()
    running.ports.isolation.open = set()


AT_ONCE: Final[dict[str, Callable[[Running], None]]] = {
    "audit-broken": trail_changed,
    "isolation-broken": boundary_opened,
}
"""Alarms of which one event in a quarter of an hour is enough."""


@pytest.mark.parametrize("alarm", AT_ONCE)
def test_a_single_event_rings_at_once(project: Project, running: Running, alarm: str) -> None:
    """In the quarter of an hour in which it happens, and before it nothing."""
    running.tried()
    quarter = [running.minute() for _ in range(14)]
    assert ringing(project, quarter) == set()
    AT_ONCE[alarm](running)
    assert ringing(project, [*quarter, running.minute()]) == {alarm}


@pytest.mark.parametrize("silent", ["nobody tries", "what is tried shows nothing"])
def test_a_boundary_that_nobody_tries_rings(
    project: Project, running: Running, silent: str
) -> None:
    """No worker, or one whose trials fail, in a quarter of an hour; a trial that passes ends it."""
    running.ports.isolation.away = set(Part)
    quarter: list[dict[Point, float]] = []
    for _ in range(15):
        if silent != "nobody tries":
            running.tried()
        quarter.append(running.minute())
    assert ringing(project, quarter) == {"isolation-untried"}
    running.ports.isolation.away = set()
    running.tried()
    assert ringing(project, [*quarter[1:], running.minute()]) == set()


CAUSES: Final[dict[str, Callable[[Running], None]]] = {
    "denials-surge": denied,
    "sign-ins-surge": forged,
    "devices-lost": lost,
    "deliveries-failing": failing,
}


@pytest.mark.parametrize("alarm", CAUSES)
def test_a_failure_that_is_caused_rings(project: Project, running: Running, alarm: str) -> None:
    """Three of five minutes of it ring this alarm and no other; two of them ring none."""
    running.tried()
    minutes = [running.minute() for _ in range(2)]
    for _ in range(3):
        assert ringing(project, minutes) == set()
        CAUSES[alarm](running)
        minutes.append(running.minute())
    assert ringing(project, minutes) == {alarm}


def test_a_usual_minute_rings_nothing(project: Project, running: Running) -> None:
    """People who meet a refusal, tokens that have ended, devices that come and go."""
    good = running.pool.id_token("m", ["managers"])
    denied_to = running.pool.id_token("op", ["operators"])
    minutes: list[dict[Point, float]] = []
    running.tried()
    for _ in range(MINUTES):
        running.ask(20, token=good, path="/v1/devices")
        running.ask(20, token=denied_to)
        running.ask(5, token="no.token.atall")
        for reason in ("CLIENT_INITIATED_DISCONNECT", "MQTT_KEEP_ALIVE_TIMEOUT"):
            running.tell(
                5,
                happened="device.disconnected",
                thing="acme--press-01",
                connection="1",
                reason=reason,
            )
        minutes.append(running.minute())
    assert ringing(project, minutes) == set()
