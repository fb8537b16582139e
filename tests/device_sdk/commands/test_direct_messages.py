"""A direct message is acknowledged when its command is durable, and it runs once all the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import Agent, Command, DeviceConfig, wire
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cedarfleet_device.wire import CommandMessage

    from tests.device_sdk.devices import Device, Observer, Tenant


class Pressing:
    """An agent that notes what its handler was given."""

    def __init__(self, tenant: Tenant, device: Device, agent: Agent) -> None:
        self.tenant, self.device, self.agent = tenant, device, agent
        self.data: Any = tenant.cloud.client("iot-data")
        self.ran: list[Command] = []
        agent.command("press")(self.ran.append)

    def send_direct(self, message: CommandMessage, *, seconds: int = 15) -> None:
        """As the service does; returns once the device has acknowledged."""
        self.data.send_direct_message(
            clientId=message.thing,
            topic=wire.command_topic(message.thing, message.command_id),
            confirmation=True,
            timeout=seconds,
            payload=message.encode(),
        )


@pytest.fixture
def pressing(tenant: Tenant, tmp_path: Path) -> Iterator[Pressing]:
    """A connected device."""
    device = tenant.device(tmp_path)
    with Agent(DeviceConfig.load(device.config_file)) as agent:
        made = Pressing(tenant, device, agent)
        agent.start()
        assert agent._session.wait_online(60)
        yield made


def test_a_command_that_comes_both_ways_runs_once(pressing: Pressing, observer: Observer):
    """What the service sends directly, and publishes since nobody told it so, is one command."""
    message = new_command(pressing.device.thing, "press")
    pressing.send_direct(message)
    pressing.tenant.send(message)
    pressing.send_direct(message)
    assert observer.final(message.command_id).state is CommandState.SUCCEEDED
    assert [each.command_id for each in pressing.ran] == [message.command_id]
    assert pressing.agent.metrics.snapshot()["duplicates"] == 2


def test_an_acknowledged_command_is_durable(pressing: Pressing, observer: Observer):
    """While the disk hangs the sender is told 504, since nothing is acknowledged; it runs once."""
    message, hangs, over = (
        new_command(pressing.device.thing, "press"),
        threading.Event(),
        threading.Event(),
    )

    def hang(_: object) -> None:
        hangs.set()
        over.wait(60)

    pressing.agent._store.submit(hang)
    assert hangs.wait(30)
    with pytest.raises(pressing.data.exceptions.ClientError, match="GatewayTimeoutException"):
        pressing.send_direct(message, seconds=1)
    with ThreadPoolExecutor(1) as pool:
        acknowledged = pool.submit(pressing.send_direct, message)
        pressing.tenant.send(message)
        over.set()
        acknowledged.result()
    assert observer.final(message.command_id).state is CommandState.SUCCEEDED
    assert [each.command_id for each in pressing.ran] == [message.command_id]


def test_an_overtaking_command_says_when_it_was_sent(pressing: Pressing, observer: Observer):
    """The order of commands is not kept; a handler that needs it has the times of both."""
    earlier, later = (
        new_command(pressing.device.thing, "press"),
        new_command(pressing.device.thing, "press"),
    )
    pressing.send_direct(later)
    observer.final(later.command_id)
    pressing.tenant.send(earlier)
    observer.final(earlier.command_id)
    assert [each.command_id for each in pressing.ran] == [later.command_id, earlier.command_id]
    assert pressing.ran[0].issued_at == later.issued_at >= earlier.issued_at
