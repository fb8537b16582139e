"""What arrives faster than it can be stored holds up the connection, not the memory."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from cedarfleet_device import wire
from cedarfleet_device.commands.handlers import Handler, Handlers
from cedarfleet_device.commands.receiver import _MOST_UNSTORED, Receiver
from cedarfleet_device.metrics import Metrics

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from cedarfleet_device.commands.admission import Admission

THING = "workshop--press-07"


class SlowAdmission:
    """Admission whose disk answers when the test says so."""

    def __init__(self) -> None:
        self.storing: list[Future[bool]] = []

    def receive(self, _: wire.CommandMessage) -> Future[bool]:
        """Begin to store."""
        self.storing.append(Future())
        return self.storing[-1]


def test_a_flood_waits_for_the_disk() -> None:
    """The message beyond the bound is taken when one before it is stored.

    Every one is acknowledged in the end.
    """
    handlers, admission, acknowledged = Handlers(), SlowAdmission(), threading.Semaphore(0)
    handlers.add("echo", Handler(function=lambda _: None, idempotent=True, time_limit_seconds=1))
    receiver = Receiver(
        thing=THING,
        handlers=handlers,
        admission=cast("Admission", admission),
        metrics=Metrics(),
        withhold=lambda message: message,
        rejoin=lambda _: None,
    )
    bound = _MOST_UNSTORED

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
    assert len(admission.storing) == bound
    admission.storing[0].set_result(True)
    beyond.join(10)
    assert len(admission.storing) == bound + 1
    for stored in admission.storing[1:]:
        stored.set_result(True)
    assert all(acknowledged.acquire(timeout=10) for _ in range(bound + 1))
