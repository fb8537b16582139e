"""What arrives faster than it can be stored holds up the connection, not the memory."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from cedarfleet_device import wire
from cedarfleet_device.commands import receiver as reception
from cedarfleet_device.commands.handlers import Handler, Handlers
from cedarfleet_device.commands.receiver import Reception
from cedarfleet_device.diagnostics.health import Metrics

from tests.device_sdk.field import new_command

if TYPE_CHECKING:
    from cedarfleet_device.commands.admission import Arrivals

THING = "workshop--press-07"


class SlowArrivals:
    """Arrivals whose disk answers when the test says so."""

    def __init__(self) -> None:
        self.storing: list[Future[bool]] = []

    def receive(self, _: wire.CommandMessage) -> Future[bool]:
        """Begin to store."""
        self.storing.append(Future())
        return self.storing[-1]


def test_a_flood_waits_for_the_disk() -> None:
    """The message beyond the bound is taken when one before it is stored; every one is acknowledged in the end."""
    handlers, arrivals, acknowledged = Handlers(), SlowArrivals(), threading.Semaphore(0)
    handlers.add("echo", Handler(function=lambda _: None, idempotent=True, time_limit_seconds=1))
    receiver = Reception(
        thing=THING,
        handlers=handlers,
        arrivals=cast("Arrivals", arrivals),
        metrics=Metrics(),
        rejoin=lambda _: None,
    )
    bound = reception._MOST_UNSTORED

    def send() -> None:
        message = new_command(THING, "echo")
        topic = wire.command_topic(THING, message.command_id)
        receiver.message(topic, message.encode(), acknowledged.release)

    for _ in range(bound):
        send()
    beyond = threading.Thread(target=send)
    beyond.start()
    beyond.join(0.2)  # long enough for a message to be taken, far shorter than the longest wait
    assert beyond.is_alive()
    assert len(arrivals.storing) == bound
    arrivals.storing[0].set_result(True)
    beyond.join(10)
    assert len(arrivals.storing) == bound + 1
    for stored in arrivals.storing[1:]:
        stored.set_result(True)
    assert all(acknowledged.acquire(timeout=10) for _ in range(bound + 1))
