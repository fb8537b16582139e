"""A message off the wire: stored and then acknowledged, or refused with its reason."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import pytest
from cedarfleet_device import wire
from cedarfleet_device.commands.handlers import Handler, Handlers
from cedarfleet_device.commands.receiver import Receiver, RefusedError, read_message
from cedarfleet_device.metrics import Metrics

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.commands.admission import Admission
    from cedarfleet_device.wire import CancelMessage, CommandMessage

THING = "acme--press-07"


def _handlers() -> Handlers:
    handlers = Handlers()
    handlers.add(
        "reboot", Handler(function=lambda _: None, idempotent=False, time_limit_seconds=1.0)
    )
    return handlers


class HeldAdmission:
    """Keeps what it is given, until the test says what became of it."""

    def __init__(self) -> None:
        self.received: list[CommandMessage] = []
        self.rejected: list[tuple[str, bytes, str]] = []
        self.canceled: list[CancelMessage] = []
        self.stored: list[Future[bool]] = []

    def receive(self, message: CommandMessage) -> Future[bool]:
        """As ``Admission``."""
        self.received.append(message)
        return self._later()

    def cancel(self, message: CancelMessage) -> Future[bool]:
        """As ``Admission``."""
        self.canceled.append(message)
        return self._later()

    def reject(self, command_id: str, payload: bytes, reason: str) -> Future[bool]:
        """As ``Admission``."""
        self.rejected.append((command_id, payload, reason))
        return self._later()

    def _later(self) -> Future[bool]:
        self.stored.append(Future())
        return self.stored[-1]


class ReceivingDevice:
    """A receiver, with what it acknowledged, counted and asked to be sent again.

    Args:
        withhold: takes out of a command what must not reach the disk.
    """

    def __init__(
        self, withhold: Callable[[CommandMessage], CommandMessage] = lambda message: message
    ) -> None:
        self.admission = HeldAdmission()
        self.metrics = Metrics()
        self.acknowledged: list[str] = []
        self.rejoined: list[float] = []
        self._receiver = Receiver(
            thing=THING,
            handlers=_handlers(),
            admission=cast("Admission", self.admission),
            metrics=self.metrics,
            withhold=withhold,
            rejoin=self.rejoined.append,
        )

    def send(self, topic: str, payload: bytes) -> None:
        """A message of the broker."""
        self._receiver.message(topic, payload, lambda: self.acknowledged.append(topic))

    def counted(self) -> dict[str, int]:
        """What was counted, by name."""
        return {
            name: count
            for name, count in self.metrics.snapshot().items()
            if isinstance(count, int) and count
        }


def _payload(message: CommandMessage, **changed: Any) -> bytes:
    return json.dumps(json.loads(message.encode()) | changed).encode()


def test_a_good_message_is_read():
    """One that expires in the instant of its issue, too: its time is checked later."""
    message = new_command(THING, "reboot", seconds=0)
    topic = wire.command_topic(THING, message.command_id)
    found = read_message(topic, message.encode(), thing=THING, handlers=_handlers())
    assert found == message


def test_a_cancel_is_stored_and_then_acknowledged():
    """Also of a command that this device has no handler for; another thing's is refused."""
    cancel = wire.CancelMessage(command_id="0" * 26, thing=THING, canceled_at=1, expires_at=2**50)
    topic = wire.command_topic(THING, cancel.command_id)
    device = ReceivingDevice()
    device.send(topic, cancel.encode())
    assert (device.admission.canceled, device.acknowledged) == ([cancel], [])
    device.admission.stored[0].set_result(True)
    assert (device.acknowledged, device.counted()) == ([topic], {"canceled": 1})
    device.send(topic, cancel.encode())
    device.admission.stored[1].set_result(False)
    assert device.counted() == {"canceled": 1, "duplicates": 1}
    device.send(topic, cancel.encode().replace(b"press-07", b"press-08"))
    assert device.admission.rejected[0][2] == "`thing` is another thing"


@pytest.mark.parametrize(
    "topic",
    [
        "fleet/acme--press-08/commands/{id}",
        "fleet/acme--press-07/commands/short",
        "fleet/acme--press-07/commands/{id}/status",
        "fleet/acme--press-07/other/{id}",
        "",
    ],
)
def test_a_message_without_a_place_is_acknowledged(topic: str):
    """Kept unacknowledged it would come for ever, and there is nothing to report it under."""
    message = new_command(THING, "reboot")
    topic = topic.format(id=message.command_id)
    with pytest.raises(RefusedError) as caught:
        read_message(topic, message.encode(), thing=THING, handlers=_handlers())
    assert caught.value.command_id is None
    device = ReceivingDevice()
    device.send(topic, message.encode())
    assert device.acknowledged == [topic]
    assert device.admission.stored == []
    assert device.counted() == {"unreportable": 1}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"wire": 2}, "wire version `2` is not 1"),
        ({"arguments": []}, "`arguments` is not of its form: an object"),
        ({"command_id": "0" * 26}, "`command_id` is not the one of the topic"),
        ({"thing": "acme--press-08"}, "`thing` is another thing"),
        ({"issued_at": 5, "expires_at": 4}, "`expires_at` is before `issued_at`"),
        ({"name": "fly"}, "this device has no handler for `fly`"),
    ],
    ids=str,
)
def test_a_refused_message_is_kept_with_its_reason(changed: dict[str, Any], reason: str):
    """It is acknowledged once the refusal is durable, under the id of its topic."""
    message = new_command(THING, "reboot")
    topic = wire.command_topic(THING, message.command_id)
    payload = _payload(message, **changed)
    with pytest.raises(RefusedError, match=reason) as caught:
        read_message(topic, payload, thing=THING, handlers=_handlers())
    assert caught.value.command_id == message.command_id
    device = ReceivingDevice()
    device.send(topic, payload)
    assert device.admission.rejected == [(message.command_id, payload, reason)]
    assert device.admission.received == []
    assert device.acknowledged == []
    device.admission.stored[0].set_result(True)
    assert device.acknowledged == [topic]
    assert device.counted() == {"rejected": 1}


def test_a_command_whose_secrets_cannot_be_withheld_is_refused():
    """With the reason in words: it is neither stored with them nor sent for ever."""

    def withhold(_: CommandMessage) -> CommandMessage:
        raise wire.WireError("`arguments` hold no such secret")

    message, device = new_command(THING, "reboot"), ReceivingDevice(withhold)
    device.send(wire.command_topic(THING, message.command_id), message.encode())
    reason = "`arguments` hold no such secret"
    assert device.admission.rejected == [(message.command_id, message.encode(), reason)]
    assert device.admission.received == []


@pytest.mark.parametrize(("new", "counter"), [(True, "received"), (False, "duplicates")])
def test_a_command_is_acknowledged_once_it_is_durable(new: bool, counter: str):
    """Not before, and a copy as well."""
    message = new_command(THING, "reboot")
    topic = wire.command_topic(THING, message.command_id)
    device = ReceivingDevice()
    device.send(topic, message.encode())
    assert device.admission.received == [message]
    assert device.acknowledged == []
    device.admission.stored[0].set_result(new)
    assert device.acknowledged == [topic]
    assert device.rejoined == []
    assert device.counted() == {counter: 1}


def test_a_command_that_is_not_kept_is_sent_again():
    """It stays unacknowledged, the broker is asked for it again, and its room is given back."""
    device = ReceivingDevice()
    for _ in range(300):  # more than may be unstored at once
        message = new_command(THING, "reboot")
        device.send(wire.command_topic(THING, message.command_id), message.encode())
        device.admission.stored[-1].set_exception(OSError("full"))
    assert device.acknowledged == []
    assert device.rejoined == [5.0] * 300
    assert device.counted() == {"store_failures": 300}
