"""Speed of the device's agent over mosquitto with mutual TLS: round trip, backlog, many agents, dead links."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from cedarfleet_device import wire
from cedarfleet_device.agent import Agent
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.mqtt import Connection, tls_context

from tests.benchmarks.rows import Missing, Row, compare, interleaved
from tests.device_sdk.cuttable import CuttableLine
from tests.device_sdk.field import Device, Observer, new_command, write_config
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

TRIPS = 100
SUSTAINED_TRIPS = 300  # the runtime's rate limit lets the first hundred pass
BACKLOG = 10_000
SMALL_BACKLOG = 1_000
AGENTS = 200
_WAVE = 100
ECHO = "\n    agent.command('echo')(lambda command: command.arguments)\n"
ECHO_AGAIN = "\n    agent.command('echo', idempotent=True)(lambda command: command.arguments)\n"
BARE = """
import sqlite3, sys, threading
from awscrt import mqtt5
from cedarfleet_device.mqtt import tls_context
from cedarfleet_device.nodelay import send_at_once
from cedarfleet_device.wire import CommandState, StatusMessage, command_filter
from pathlib import Path
thing, port, folder, ca = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
syncs, flow = int(sys.argv[5]), mqtt5.ExtendedValidationAndFlowControlOptions[sys.argv[6]]
database = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE inbox (message BLOB);")
def echo(data):
    for _ in range(syncs):
        database.execute("INSERT INTO inbox VALUES (?)", (data.publish_packet.payload,))
    status = StatusMessage(sequence=1, state=CommandState.SUCCEEDED, detail={}, at=0).encode()
    topic = data.publish_packet.topic + "/status"
    client.publish(mqtt5.PublishPacket(topic=topic, payload=status, qos=mqtt5.QoS.AT_LEAST_ONCE))
def connected(_):
    send_at_once(port)
    wanted = mqtt5.Subscription(topic_filter=command_filter(thing), qos=mqtt5.QoS.AT_LEAST_ONCE)
    done = client.subscribe(mqtt5.SubscribePacket(subscriptions=[wanted]))
    done.add_done_callback(lambda _: print("subscribed", flush=True))
tls = tls_context((folder / "device.crt").read_bytes(), (folder / "device.key").read_bytes(), ca.read_bytes())
client = mqtt5.Client(mqtt5.ClientOptions(host_name="localhost", port=port, tls_ctx=tls,
    connect_options=mqtt5.ConnectPacket(client_id=thing),
    extended_validation_and_flow_control_options=flow,
    on_publish_callback_fn=echo, on_lifecycle_event_connection_success_fn=connected))
client.start()
threading.Event().wait()
"""


def rows(rounds: int) -> Iterator[Row | Missing]:
    """Every figure of the agent but downloads."""
    if PROGRAM is None:
        yield Missing(name="device commands", why="apt-get install mosquitto")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        tls = broker.tls("observer")
        observer = stack.enter_context(Observer(host=broker.host, port=broker.port, tls=tls))
        yield from _round_trip(rounds, broker, observer, folder)
        yield _backlog(broker, observer, folder)
        yield from _many(rounds, broker, folder)
        yield _dead_link(broker, folder)


def _round_trip(rounds: int, broker: Mosquitto, observer: Observer, folder: Path) -> Iterator[Row]:
    """Publish to final state, one at a time, beside clients that answer with one status.

    Ours with a handler that is idempotent, as an echo is, and with one that must not run twice and so waits for the
    disk before and after. Of the references, the first keeps nothing; the second syncs each command to disk once before
    it answers, which is the least that can be done for a command not to be lost, and the third twice: the command, and
    how it ended. At last as shipped: both sides publish no faster than AWS IoT Core allows a connection.
    """
    with ExitStack() as stack:

        def ours(name: str, handlers: str, *, limit_rate: bool = False) -> str:
            device = broker.device(folder / name, settings={"connection.limit_rate": limit_rate})
            agent = stack.enter_context(device.run(handlers))
            agent.await_event("mqtt.subscribed", seconds=30)
            return device.thing

        again, once = ours("again", ECHO_AGAIN), ours("once", ECHO)
        limited = ours("again-limited", ECHO_AGAIN, limit_rate=True), ours("once-limited", ECHO, limit_rate=True)
        bare = [stack.enter_context(_bare(broker, folder / f"bare-{syncs}", syncs)) for syncs in (0, 1, 2)]
        bare_limited = stack.enter_context(_bare(broker, folder / "bare-limited", 0, flow="AWS_IOT_CORE_DEFAULTS"))
        shipped = (*limited, bare_limited)
        things = [again, once, *bare, *shipped]
        taken = dict(
            zip(
                things,
                interleaved(
                    rounds,
                    *(
                        lambda thing=thing: _trip(
                            broker, observer, thing, TRIPS if thing not in shipped else SUSTAINED_TRIPS
                        )
                        for thing in things
                    ),
                ),
                strict=True,
            )
        )
    free = "no rate limit on either side"
    as_shipped = f"as shipped, with AWS IoT Core's rate limit on both sides, {SUSTAINED_TRIPS} in a row"
    for thing, reference, handler, what, limit in (
        (again, bare[0], "idempotent handler", "keeps nothing", free),
        (once, bare[0], "handler that runs at most once", "keeps nothing", free),
        (once, bare[1], "handler that runs at most once", "syncs each command once", free),
        (once, bare[2], "handler that runs at most once", "syncs each command and its end", free),
        (limited[0], bare_limited, "idempotent handler", "keeps nothing", as_shipped),
        (limited[1], bare_limited, "handler that runs at most once", "keeps nothing", as_shipped),
    ):
        yield compare(
            name=f"command round trip p50, {handler} / bare client that {what}",
            ours=taken[thing],
            reference=taken[reference],
            unit="ms",
            at_most=1.5,
            note=f"{limit}; TCP_NODELAY on both; the reference is an awscrt client that echoes",
        )


@contextmanager
def _bare(broker: Mosquitto, folder: Path, syncs: int, *, flow: str = "NONE") -> Generator[str]:
    """A bare client in a process of its own; its thing."""
    device = broker.device(folder)
    arguments = [device.thing, str(broker.port), str(device.folder), str(broker.ca_file), str(syncs), flow]
    with subprocess.Popen([sys.executable, "-c", BARE, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "subscribed\n":
                raise RuntimeError("the bare client did not subscribe")
            yield device.thing
        finally:
            process.kill()


def _trip(broker: Mosquitto, observer: Observer, thing: str, trips: int) -> float:
    taken: list[float] = []
    for _ in range(trips):
        message = new_command(thing, "echo")
        began = time.perf_counter()
        broker.send(message)
        observer.final(message.command_id)
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _backlog(broker: Mosquitto, observer: Observer, folder: Path) -> Row:
    """Peak memory of an agent that finds a backlog at the broker, beside that with a tenth of it."""
    peaks: list[float] = []
    seconds = 0.0
    for count in (SMALL_BACKLOG, BACKLOG):
        device = broker.device(folder / f"backlog-{count}")
        with device.run(ECHO) as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
        ids = broker.send_all([new_command(device.thing, "echo", seconds=3600) for _ in range(count)])
        began = time.monotonic()
        with device.run(ECHO) as agent:
            observer.await_all(ids, seconds=600)
            seconds = time.monotonic() - began
            peaks.append(_peak_megabytes(agent.pid))
        for command_id in ids:
            del observer.statuses[command_id]
    growth = peaks[1] - peaks[0]
    return Row(
        name=f"memory for {BACKLOG} queued commands beyond that for {SMALL_BACKLOG}",
        ours=growth,
        unit="MB",
        target="<= 10 MB",
        met=growth <= 10,
        rounds=1,
        note=f"peak RSS {peaks[0]:.0f} and {peaks[1]:.0f} MB; drained at {BACKLOG / seconds:.0f} commands/s",
    )


def _peak_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not tell a process's peak memory")


def _many(rounds: int, broker: Mosquitto, folder: Path) -> Iterator[Row]:
    """Until all are connected: with one TLS context for all, beside clients that each load their files."""
    base = broker.device(folder / "many")
    certificate, key = base.folder / "device.crt", base.folder / "device.key"
    fields = {"endpoint": broker.host, "port": broker.port, "ca_file": str(broker.ca_file), "jobs": False}
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
    reference = "reference: mtls_from_path for each client; contexts included; broker on a core of its own"
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
        name=f"{AGENTS} whole agents of one process", ours=whole, reference=each, unit="1/s", at_least=1, note=note
    )


@contextmanager
def _apart(broker: Mosquitto) -> Generator[None]:
    """The broker has the last core and this process the others, so that neither's time is the other's wait."""
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


def _shared_context(broker: Mosquitto, configs: list[DeviceConfig], certificate: Path, key: Path) -> float:
    connected = threading.Semaphore(0)
    began = time.perf_counter()
    context = tls_context(certificate.read_bytes(), key.read_bytes(), broker.ca_file.read_bytes())
    connections = [
        Connection(
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


def _start_in_waves(clients: Sequence[Connection | mqtt5.Client], connected: threading.Semaphore) -> None:
    """Fewer at once than the broker's listen backlog of 100: a dropped SYN would cost a second and hide the rest."""
    for first in range(0, len(clients), _WAVE):
        wave = clients[first : first + _WAVE]
        for client in wave:
            client.start()
        for _ in wave:
            connected.acquire()


def _whole_agents(broker: Mosquitto, configs: list[DeviceConfig], certificate: Path, key: Path) -> float:
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
        with device.run(ECHO) as agent:
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
