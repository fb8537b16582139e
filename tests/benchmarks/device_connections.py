"""Speed of an agent's connections: many of one process are made, and a dead one is noticed."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from cedarfleet_device import wire
from cedarfleet_device.agent import Agent
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.connection.client import tls_context
from cedarfleet_device.connection.mqtt import MqttConnection

from tests.benchmarks.rows import Missing, Row, compare, interleaved
from tests.device_sdk.connection.cuttable_line import CuttableLine
from tests.device_sdk.devices import Device, write_config
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

AGENTS = 200
_WAVE = 100


def rows(rounds: int) -> Iterator[Row | Missing]:
    """The figures of making connections, then that of losing one."""
    if PROGRAM is None:
        yield Missing(name="connections of devices", why="apt-get install mosquitto")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        yield from _many(rounds, broker, folder)
        yield _dead_link(broker, folder)


def _many(rounds: int, broker: Mosquitto, folder: Path) -> Iterator[Row]:
    """Until all are connected: one TLS context for all, beside clients that load their own."""
    base = broker.device(folder / "many")
    certificate, key = base.folder / "device.crt", base.folder / "device.key"
    fields = {
        "endpoint": broker.host,
        "port": broker.port,
        "ca_file": str(broker.ca_file),
        "jobs": False,
    }
    configs: list[DeviceConfig] = []
    for number in range(AGENTS):
        own = folder / "many" / str(number)
        own.mkdir()
        thing = wire.thing_name("acme", f"many-{number}")
        configs.append(DeviceConfig.load(write_config(own, {"thing": thing, **fields})))

    with _apart(broker):
        series = interleaved(
            rounds,
            lambda: _shared_context(broker, configs, certificate, key),
            lambda: _whole_agents(broker, configs, certificate, key),
            lambda: _each_its_own(broker, certificate, key),
        )
    shared, whole, each = [[1 / seconds for seconds in one] for one in series]
    reference = (
        "reference: mtls_from_path for each client; contexts included; broker on a core of its own"
    )
    yield compare(
        name=f"{AGENTS} connections of one process, one TLS context",
        ours=shared,
        reference=each,
        unit="1/s",
        at_least=4,
        note=reference,
    )
    note = f"with opening {AGENTS} synced stores and starting their threads; {reference}"
    yield compare(
        name=f"{AGENTS} whole agents of one process",
        ours=whole,
        reference=each,
        unit="1/s",
        at_least=1,
        note=note,
    )


@contextmanager
def _apart(broker: Mosquitto) -> Generator[None]:
    """The broker has the last core and this process the others, so that neither waits."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        _pin(broker.pid, cores[-1:])
        _pin(os.getpid(), cores[:-1])
    try:
        yield
    finally:
        _pin(broker.pid, cores)
        _pin(os.getpid(), cores)


def _pin(pid: int, cores: Sequence[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), cores)


def _shared_context(
    broker: Mosquitto, configs: list[DeviceConfig], certificate: Path, key: Path
) -> float:
    connected = threading.Semaphore(0)
    began = time.perf_counter()
    context = tls_context(certificate.read_bytes(), key.read_bytes(), broker.ca_file.read_bytes())
    connections = [
        MqttConnection(
            config,
            tls=context,
            message=lambda _topic, _payload, acknowledge: acknowledge(),
            connected=lambda _present: connected.release(),
            disconnected=lambda _reason: None,
        )
        for config in configs
    ]
    _start_in_waves(connections, connected)
    seconds = time.perf_counter() - began
    threads = [threading.Thread(target=connection.stop) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def _start_in_waves(
    clients: Sequence[MqttConnection | mqtt5.Client], connected: threading.Semaphore
) -> None:
    """Fewer at once than the broker's listen backlog of 100: a dropped SYN costs a second."""
    for first in range(0, len(clients), _WAVE):
        wave = clients[first : first + _WAVE]
        for client in wave:
            client.start()
        for _ in wave:
            connected.acquire()


def _whole_agents(
    broker: Mosquitto, configs: list[DeviceConfig], certificate: Path, key: Path
) -> float:
    agents: list[Agent] = []
    began = time.perf_counter()
    context = tls_context(certificate.read_bytes(), key.read_bytes(), broker.ca_file.read_bytes())
    try:
        for config in configs:
            agents.append(Agent(config, tls=context))
            agents[-1].start()
        while not all(agent.online for agent in agents):
            time.sleep(0.002)  # an agent tells nobody that it is online
        return time.perf_counter() - began
    finally:
        threads = [threading.Thread(target=agent.close) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _each_its_own(broker: Mosquitto, certificate: Path, key: Path) -> float:
    connected, stopped = threading.Semaphore(0), threading.Semaphore(0)
    began = time.perf_counter()
    clients = [
        mqtt5_client_builder.mtls_from_path(
            endpoint=broker.host,
            port=broker.port,
            cert_filepath=str(certificate),
            pri_key_filepath=str(key),
            ca_filepath=str(broker.ca_file),
            client_id=f"each-{number}",
            on_lifecycle_connection_success=lambda _: connected.release(),
            on_lifecycle_stopped=lambda _: stopped.release(),
        )
        for number in range(AGENTS)
    ]
    _start_in_waves(clients, connected)
    seconds = time.perf_counter() - began
    for client in clients:
        client.stop(mqtt5.DisconnectPacket())
    for _ in clients:
        stopped.acquire()
    return seconds


def _dead_link(broker: Mosquitto, folder: Path) -> Row:
    """A link that goes deaf, with the default keep-alive and ping timeout."""
    with CuttableLine(broker.port) as line:
        device: Device = broker.device(folder / "deaf", settings={"port": line.port})
        with device.run() as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
            line.deaf = True
            began = time.monotonic()
            agent.await_event("mqtt.disconnected", seconds=120)
            seconds = time.monotonic() - began
            os.kill(agent.pid, 9)
    limit = 30 * 1.5 + 5
    return Row(
        name="half-open connection noticed",
        ours=seconds,
        unit="s",
        target=f"<= {limit:g} s",
        met=seconds <= limit,
        rounds=1,
        note="defaults: keep-alive 30 s, ping timeout 5 s",
    )
