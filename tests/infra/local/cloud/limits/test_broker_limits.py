"""The broker takes and keeps what AWS's takes and keeps, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.cloud.limits.table import (
    PUBLISHES_OF_A_CONNECTION,
    SESSION_SECONDS,
    STORED_MESSAGES,
)
from tests.infra.local.cloud.limits.devices import identity, plugged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud
    from infra.local.cloud.limits.clock import Clock
    from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice
    from tests.infra.local.cloud.limits.devices import Identity


@pytest.fixture
def clock(embedded_cloud: EmbeddedCloud) -> Iterator[Clock]:
    """The cloud's, which stands still; rates are AWS's own."""
    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        yield limits.clock


def _payloads(device: RawDevice) -> list[bytes]:
    """Each message that comes now, once, however often it is sent again."""
    found: dict[int, bytes] = {}
    try:
        while True:
            packet = device.read(seconds=0.5)
            found.setdefault(packet.identifier, packet.payload)
    except TimeoutError:
        return list(found.values())


def _away(cloud: EmbeddedCloud, clock: Clock, messages: int) -> Identity:
    """A device that has subscribed and gone; so many messages wait for it."""
    device = identity(cloud)
    with plugged(cloud, device) as connection:
        connection.connect(device.thing, clean=False)
        connection.subscribe(f"to/{device.thing}")
    clock.advance(1)
    for number in range(messages):
        cloud.client("iot-data").publish(
            topic=f"to/{device.thing}", qos=1, payload=str(number).encode()
        )
    return device


def test_client_connects_once_a_second(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """The same client id is turned away within the second, another one is not."""
    device, other = identity(embedded_cloud), identity(embedded_cloud)
    with plugged(embedded_cloud, device) as first:
        assert first.connect(device.thing) == 0
        with plugged(embedded_cloud, device) as second, pytest.raises(ConnectionResetError):
            second.connect(device.thing)
        with plugged(embedded_cloud, other) as third:
            assert third.connect(other.thing) == 0
        clock.advance(1)
        with plugged(embedded_cloud, device) as fourth:
            assert fourth.connect(device.thing) == 0


def test_messages_too_many_are_lost(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """What a connection publishes beyond its rate reaches nobody; the connection stays."""
    device, most = identity(embedded_cloud), int(PUBLISHES_OF_A_CONNECTION.figure)
    with plugged(embedded_cloud, device) as connection:
        connection.connect(device.thing)
        connection.subscribe(f"from/{device.thing}", qos=0)
        for number in range(most + 5):
            connection.publish(f"from/{device.thing}", b"%03d" % number)
        came = [connection.read(seconds=10).payload for _ in range(most)]
        connection.ping(seconds=10)  # those too many have been dealt with
        clock.advance(1)
        connection.publish(f"from/{device.thing}", b"later")
        assert connection.read(seconds=10).payload == b"later"
    assert came == [b"%03d" % number for number in range(most)]


@pytest.mark.parametrize(("late", "kept"), [(-2, [b"0"]), (1, [])])
def test_session_is_kept_for_an_hour(
    late: int, kept: list[bytes], embedded_cloud: EmbeddedCloud, clock: Clock
) -> None:
    """A device that is back in time gets what waited; a second later it is gone."""
    device = _away(embedded_cloud, clock, 1)
    clock.advance(SESSION_SECONDS + late)
    with plugged(embedded_cloud, device) as back:
        assert back.connect(device.thing, clean=False) == 0
        assert _payloads(back) == kept


def test_stored_messages_come_ten_a_second(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A device that is back gets ten at once, and the others as time passes, in order."""
    most = int(STORED_MESSAGES.figure)
    device = _away(embedded_cloud, clock, most + 3)
    with plugged(embedded_cloud, device) as back:
        back.connect(device.thing, clean=False)
        at_once = _payloads(back)
        clock.advance(1)
        later = _payloads(back)
    assert at_once == [str(number).encode() for number in range(most)]
    # Those that came at once are sent again in between, since nobody acknowledges them.
    new = [payload for payload in later if payload not in at_once]
    assert new == [str(number).encode() for number in range(most, most + 3)]


def test_message_that_waits_outlives_a_break(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """What was still to come when the device broke off again comes the next time."""
    most = int(STORED_MESSAGES.figure)
    device = _away(embedded_cloud, clock, most + 1)
    with plugged(embedded_cloud, device) as back:
        back.connect(device.thing, clean=False)
        assert len(_payloads(back)) == most
    clock.advance(5)
    with plugged(embedded_cloud, device) as again:
        again.connect(device.thing, clean=False)
        assert str(most).encode() in _payloads(again)
