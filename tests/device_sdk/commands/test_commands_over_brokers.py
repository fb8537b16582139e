"""Commands on both brokers: once each, in order, and nothing that is not meant for the device."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from awscrt import mqtt5
from cedarfleet_device import Agent, DeviceConfig, wire
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import new_command, states

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.conftest import ObservedBroker
    from tests.device_sdk.devices import Device, Observer

COUNT = """
    agent.ran = 0

    @agent.command("count")
    def count(command):
        agent.ran += 1
        return {"ran": agent.ran}

    @agent.command("hold")
    def hold(command):
        time.sleep(60)  # a handler that holds on
"""
AT_ONCE = [CommandState.SUCCEEDED]
AFTER_OTHERS = [CommandState.RECEIVED, CommandState.SUCCEEDED]


def publish(observer: Observer, topic: str, payload: bytes) -> None:
    """Publish anything, as one who may."""
    packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
    observer.client.publish(packet).result(20)


def test_each_command_runs_once_whatever_arrives_twice_or_late(
    observed: ObservedBroker, tmp_path: Path
):
    """Copies of a command, also after later ones, change nothing.

    Commands run in the order of their first arrival.
    """
    device = observed.broker.device(tmp_path)
    messages = [new_command(device.thing, "count") for _ in range(20)]
    with device.run(COUNT) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        for index, message in enumerate(messages):
            for each in (message, messages[index // 2], message):
                observed.broker.send(each)
        ended = observed.observer.await_all([each.command_id for each in messages])
        last = observed.broker.send(new_command(device.thing, "count"))
        assert observed.observer.final(last).detail == {"ran": 21}
        assert agent.stop() == 0
    for number, message in enumerate(messages, 1):
        assert states(ended[message.command_id]) in (AT_ONCE, AFTER_OTHERS)
        assert ended[message.command_id][-1].detail == {"ran": number}


def test_commands_for_a_device_that_is_off_wait_for_it(observed: ObservedBroker, tmp_path: Path):
    """What was sent while the device was off runs when it is back, in order.

    What expired meanwhile is EXPIRED.
    """
    device = observed.broker.device(tmp_path)
    with device.run(COUNT) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        held = observed.broker.send(new_command(device.thing, "hold"))
        agent.await_event("command.acknowledged", seconds=30)
        observed.observer.until(
            lambda: CommandState.RUNNING in states(observed.observer.statuses.get(held, [])),
            what=lambda: "it runs",
        )
        os.kill(agent.pid, signal.SIGKILL)
    late = observed.broker.send(new_command(device.thing, "count", seconds=0.2))
    ids = [observed.broker.send(new_command(device.thing, "count")) for _ in range(5)]
    with device.run(COUNT) as agent:
        ended = observed.observer.await_all([held, late, *ids])
    assert ended[held][-1].state is CommandState.INTERRUPTED
    assert ended[late][-1].state is CommandState.EXPIRED
    assert [ended[each][-1].detail for each in ids] == [{"ran": number} for number in range(1, 6)]


def bad_messages(device: Device) -> list[tuple[str, bytes, str]]:
    """Command id, payload and a word of the reason."""

    def make(why: str, **changes: object) -> tuple[str, bytes, str]:
        message = new_command(device.thing, "count")
        data: dict[str, Any] = {"wire": 1, **dataclasses.asdict(message), **changes}
        return message.command_id, json.dumps(data).encode(), why

    return [
        make("wire version", wire=2),
        make("another thing", thing="workshop--press-08"),
        make("not the one of the topic", command_id="0" * 26),
        make("no handler", name="unheard-of"),
        make("`expires_at` is before", expires_at=0, issued_at=1),
        make("missing or unknown", extra=1),
        (new_command(device.thing, "count").command_id, b"\xff\x00 no json", "not JSON"),
        (new_command(device.thing, "count").command_id, b"[" * 50_000, "not JSON"),
    ]


def test_messages_not_for_the_device_are_rejected_with_reason(
    observed: ObservedBroker, tmp_path: Path
):
    """Wrong version, thing, id, name, times, form: each ends REJECTED, and the agent goes on."""
    device = observed.broker.device(tmp_path)
    bad = bad_messages(device)
    with device.run(COUNT) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        publish(observed.observer, wire.command_topic(device.thing, "no-ulid"), b"{}")
        for command_id, payload, _ in bad:
            publish(observed.observer, wire.command_topic(device.thing, command_id), payload)
        good = observed.broker.send(new_command(device.thing, "count"))
        ended = observed.observer.await_all([good, *(each[0] for each in bad)])
        assert agent.stop() == 0
    for command_id, _, word in bad:
        assert states(ended[command_id]) == [CommandState.REJECTED]
        assert word in ended[command_id][0].detail["reason"]
    assert ended[good][-1].detail == {"ran": 1}
    assert "no-ulid" not in observed.observer.statuses


@pytest.mark.parametrize("farewell", ["offline", "lost"])
def test_presence_says_how_the_agent_left(observed: ObservedBroker, tmp_path: Path, farewell: str):
    """An agent that stops says ``offline``; for one that is killed the broker says ``lost``."""
    device = observed.broker.device(tmp_path)
    topic = wire.presence_topic(device.thing)

    def said(word: str) -> bool:
        return (topic, wire.presence_message(word)) in observed.observer.other

    with device.run() as agent:
        observed.observer.until(lambda: said("online"), what=lambda: "online")
        if farewell == "lost":
            os.kill(agent.pid, signal.SIGKILL)
        else:
            assert agent.stop() == 0
        observed.observer.until(lambda: said(farewell), what=lambda: farewell)
    assert said("offline") == (farewell == "offline")


def test_an_agent_says_what_runs_on_its_device(observed: ObservedBroker, tmp_path: Path):
    """Once for each connection: its own version, and the firmware's where the maker names it."""
    device = observed.broker.device(tmp_path, settings={"firmware_version": "1.4.2"})
    topic = wire.versions_topic(device.thing)
    message = wire.VersionsMessage(
        agent=version("cedarfleet-device"), packages={"firmware": "1.4.2"}
    )

    def said() -> list[bytes]:
        return [payload for told, payload in observed.observer.other if told == topic]

    for times in (1, 2):
        with device.run() as agent:
            observed.observer.until(
                lambda times=times: len(said()) == times, what=lambda: "versions"
            )
            assert agent.stop() == 0
    assert said() == [message.encode()] * 2


def test_no_goodbye_brings_the_last_will(observed: ObservedBroker, tmp_path: Path):
    """However soon an agent stops, the broker does not say ``lost`` after ``offline``."""
    config = DeviceConfig.load(observed.broker.device(tmp_path).config_file)
    topic = wire.presence_topic(config.thing)

    def said(word: str) -> int:
        return observed.observer.other.count((topic, wire.presence_message(word)))

    for number in range(1, 21):
        with Agent(config) as agent:
            agent.start()
            observed.observer.until(
                lambda number=number: said("online") == number, what=lambda: "online"
            )
    with Agent(
        config
    ) as agent:  # what the broker had to say of the last goodbye stands before this connection
        agent.start()
        observed.observer.until(lambda: said("online") == 21, what=lambda: "online")
        assert (said("offline"), said("lost")) == (20, 0)
