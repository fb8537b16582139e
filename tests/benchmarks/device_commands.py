"""Speed of a command over mosquitto with mutual TLS: its round trip, beside bare clients."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.rows import Missing, Row, compare, interleaved
from tests.device_sdk.devices import Observer, new_command
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TRIPS = 100
SUSTAINED_TRIPS = 300  # the runtime's rate limit lets the first hundred pass
ECHO = "\n    agent.command('echo')(lambda command: command.arguments)\n"
ECHO_AGAIN = "\n    agent.command('echo', idempotent=True)(lambda command: command.arguments)\n"
BARE = """
import sqlite3, sys, threading
from awscrt import mqtt5
from cedarfleet_device.connection.client import tls_context
from cedarfleet_device.connection.client import send_at_once
from cedarfleet_device.wire import CommandState, StatusMessage, command_filter
from pathlib import Path
thing, port, folder, ca = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
syncs, flow = int(sys.argv[5]), mqtt5.ExtendedValidationAndFlowControlOptions[sys.argv[6]]
database = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE inbox (message BLOB);")
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
certificate, key = (folder / "device.crt").read_bytes(), (folder / "device.key").read_bytes()
tls = tls_context(certificate, key, ca.read_bytes())
client = mqtt5.Client(mqtt5.ClientOptions(host_name="localhost", port=port, tls_ctx=tls,
    connect_options=mqtt5.ConnectPacket(client_id=thing),
    extended_validation_and_flow_control_options=flow,
    on_publish_callback_fn=echo, on_lifecycle_event_connection_success_fn=connected))
client.start()
threading.Event().wait()
"""


def rows(rounds: int) -> Iterator[Row | Missing]:
    """The figures of one command at a time."""
    if PROGRAM is None:
        yield Missing(name="round trip of commands", why="apt-get install mosquitto")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        tls = broker.tls("observer")
        observer = stack.enter_context(Observer(host=broker.host, port=broker.port, tls=tls))
        yield from _round_trip(rounds, broker, observer, folder)


def _round_trip(rounds: int, broker: Mosquitto, observer: Observer, folder: Path) -> Iterator[Row]:
    """Publish to final state, one at a time, beside clients that answer with one status.

    Ours with a handler that is idempotent, as an echo is, and with one that must not run twice and
    so waits for the disk before and after. Of the references, the first keeps nothing; the second
    syncs each command to disk once before it answers, which is the least that can be done for a
    command not to be lost, and the third twice: the command, and how it ended. At last as shipped:
    both sides publish no faster than AWS IoT Core allows a connection.
    """
    with ExitStack() as stack:

        def ours(name: str, handlers: str, *, limit_rate: bool = False) -> str:
            device = broker.device(folder / name, settings={"connection.limit_rate": limit_rate})
            agent = stack.enter_context(device.run(handlers))
            agent.await_event("mqtt.subscribed", seconds=30)
            return device.thing

        again, once = ours("again", ECHO_AGAIN), ours("once", ECHO)
        limited = (
            ours("again-limited", ECHO_AGAIN, limit_rate=True),
            ours("once-limited", ECHO, limit_rate=True),
        )
        bare = [
            stack.enter_context(_bare(broker, folder / f"bare-{syncs}", syncs))
            for syncs in (0, 1, 2)
        ]
        bare_limited = stack.enter_context(
            _bare(broker, folder / "bare-limited", 0, flow="AWS_IOT_CORE_DEFAULTS")
        )
        shipped = (*limited, bare_limited)
        things = [again, once, *bare, *shipped]
        taken = dict(
            zip(
                things,
                interleaved(
                    rounds,
                    *(
                        lambda thing=thing: _trip(
                            broker,
                            observer,
                            thing,
                            TRIPS if thing not in shipped else SUSTAINED_TRIPS,
                        )
                        for thing in things
                    ),
                ),
                strict=True,
            )
        )
    free = "no rate limit on either side"
    as_shipped = (
        f"as shipped, with AWS IoT Core's rate limit on both sides, {SUSTAINED_TRIPS} in a row"
    )
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
    arguments = [
        device.thing,
        str(broker.port),
        str(device.folder),
        str(broker.ca_file),
        str(syncs),
        flow,
    ]
    with subprocess.Popen(
        [sys.executable, "-c", BARE, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
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
