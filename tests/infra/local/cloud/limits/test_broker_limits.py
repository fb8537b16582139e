"""The broker takes and keeps what AWS's takes and keeps, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud.limits.table import (
    FILTERS_OF_A_SUBSCRIBE,
    LEAST_KEEP_ALIVE_SECONDS,
    PUBLISHES_OF_A_CONNECTION,
    QUEUED_MESSAGES,
    RATES,
    SESSION_SECONDS,
    STORED_MESSAGES,
    SUBSCRIPTIONS_OF_A_CONNECTION,
)
from tests.infra.local.cloud.limits.devices import identity, plain, plugged

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


def test_messages_queued_too_fast_are_lost(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """What is published for an absent device beyond the account's rate does not wait for it."""
    device = _away(embedded_cloud, clock, 1)
    with embedded_cloud.limits.used_up(QUEUED_MESSAGES.id):
        embedded_cloud.client("iot-data").publish(
            topic=f"to/{device.thing}", qos=1, payload=b"too many"
        )
    embedded_cloud.client("iot-data").publish(topic=f"to/{device.thing}", qos=1, payload=b"later")
    with plugged(embedded_cloud, device) as back:
        back.connect(device.thing, clean=False)
        assert _payloads(back) == [b"0", b"later"]


def test_connection_subscribes_fifty_times(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """One more is refused and ends the connection; the same filter again is not one more."""
    device, most = identity(embedded_cloud), SUBSCRIPTIONS_OF_A_CONNECTION.figure
    with plugged(embedded_cloud, device) as connection:
        connection.connect(device.thing)
        granted = [connection.subscribe(f"to/{number}") for number in range(most)]
        assert granted == [1] * most
        assert connection.subscribe("to/0") == 1
        assert connection.subscribe("to/one-more") == 128
        assert connection.is_closed_within(10)


def test_subscribe_names_eight_filters(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A SUBSCRIBE of nine is refused whole."""
    device, most = identity(embedded_cloud), FILTERS_OF_A_SUBSCRIBE.figure
    with plugged(embedded_cloud, device) as connection:
        connection.connect(device.thing)
        assert connection.subscribe_to([f"a/{n}" for n in range(most)]) == [1] * most
        assert connection.subscribe_to([f"b/{n}" for n in range(most + 1)]) == [128] * (most + 1)
        assert connection.is_closed_within(10)


@pytest.mark.parametrize(
    ("row", "asked", "operation"),
    [
        ("writes-of-job-executions", "start-next", "start_next_pending_job_execution"),
        ("writes-of-job-executions", "a/update", "update_job_execution"),
        ("reads-of-job-executions", "get", "get_pending_job_executions"),
        ("reads-of-job-executions", "a/get", "describe_job_execution"),
    ],
)
def test_jobs_over_mqtt_share_their_rate_with_http(
    row: str, asked: str, operation: str, embedded_cloud: EmbeddedCloud, clock: Clock
) -> None:
    """Once the account's second is used up, devices are told so by either way, until it is over."""
    device, rate = identity(embedded_cloud), next(each for each in RATES if each.id == row)
    topic = f"$aws/things/{device.thing}/jobs/{asked}"
    given: dict[str, Any] = {"jobId": "a"} if "/" in asked else {}
    given |= {"status": "IN_PROGRESS"} if "update" in asked else {}
    http = plain(embedded_cloud, "iot-jobs-data")

    with plugged(embedded_cloud, device) as connection:
        connection.connect(device.thing)
        connection.subscribe(f"{topic}/+", qos=0)
        while embedded_cloud.limits.take(rate):
            pass
        connection.publish(topic, b'{"clientToken": "mine", "status": "IN_PROGRESS"}')
        refused = json.loads(connection.read(seconds=10).payload)
        with pytest.raises(ClientError, match="ThrottlingException"):
            getattr(http, operation)(thingName=device.thing, **given)
        clock.advance(1)
        connection.publish(topic, b'{"status": "IN_PROGRESS"}')
        later = json.loads(connection.read(seconds=10).payload)

    assert (refused["code"], refused["clientToken"]) == ("RequestThrottled", "mine")
    assert later.get("code") != "RequestThrottled"


def test_short_keep_alive_counts_as_the_least(embedded_cloud: EmbeddedCloud) -> None:
    """A silent client that asked for a second stays for the least that AWS counts, 10 s here."""
    device = identity(embedded_cloud)
    with (
        embedded_cloud.limits.changed(pace=LEAST_KEEP_ALIVE_SECONDS / 10),
        plugged(embedded_cloud, device) as silent,
    ):
        assert silent.connect(device.thing, keep_alive=1) == 0
        assert not silent.is_closed_within(2)
