"""Telemetry's message: what it carries, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import (
    MAX_MESSAGE_BYTES,
    TelemetryMessage,
    WireError,
    WrongVersionError,
    is_telemetry_topic,
    is_tenant_id,
    telemetry_rule,
)

MESSAGE = TelemetryMessage(sequence=7, at=1_700_000_000_000, value='{"speed":1.50}')


def test_a_value_travels_as_it_was_written() -> None:
    """Also `1.50`, which a parser of JSON would write otherwise."""
    assert TelemetryMessage.decode(MESSAGE.encode()) == MESSAGE
    assert MESSAGE.read() == {"speed": 1.5}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("wire", 2), ("sequence", 0), ("sequence", True), ("at", -1), ("at", "now"),
        ("value", 7), ("value", "{"), ("more", 1),
    ],
)  # fmt: skip
def test_another_form_is_refused(member: str, value: Any) -> None:
    """A version, number, time or value that is not of the form, and a member too many."""
    document = json.loads(MESSAGE.encode()) | {member: value}
    with pytest.raises(WrongVersionError if member == "wire" else WireError):
        TelemetryMessage.decode(json.dumps(document).encode())


def test_the_largest_value_fits_into_a_message_of_aws() -> None:
    """What `check` lets through is never refused when it leaves."""
    room = MAX_MESSAGE_BYTES - 200
    text = TelemetryMessage.check("trace", "x" * room)
    last = TelemetryMessage(sequence=2**53 - 1, at=2**53 - 1, value=text)
    assert len(last.encode()) <= MAX_MESSAGE_BYTES
    # Each quote takes two bytes in a text.
    with pytest.raises(WireError):
        TelemetryMessage.check("trace", ["x"] * (room // 4))


def test_a_topic_fits_into_one_of_aws() -> None:
    """256 bytes and seven slashes, with the longest thing, the prefix of Basic Ingest left out."""
    topic = "/".join(["a" * 24] * 4)
    assert is_telemetry_topic(topic)
    whole = f"fleet/{'t' * 128}/telemetry/{topic}"
    assert len(whole) <= 256
    assert whole.count("/") <= 7


def test_two_tenants_never_share_a_rule() -> None:
    """A rule's name has no `-`, so theirs becomes `_`, which no tenant's id has."""
    assert telemetry_rule("acme-north") == "cedarfleet_telemetry_acme_north"
    assert not is_tenant_id("acme_north")


def test_numbers_and_topics_end_where_they_say() -> None:
    """The largest number that every parser holds, and a topic of a hundred characters."""
    last = TelemetryMessage(sequence=2**53 - 1, at=2**53 - 1, value="1")
    assert TelemetryMessage.decode(last.encode()) == last
    beyond = json.loads(last.encode()) | {"sequence": 2**53}
    with pytest.raises(WireError):
        TelemetryMessage.decode(json.dumps(beyond).encode())
    longest = f"{'a' * 64}/{'b' * 35}"
    assert TelemetryMessage.check(longest, {"a": 1}) == '{"a":1}'
    assert not is_telemetry_topic(f"{longest}b")


@pytest.mark.parametrize("topic", ["", "a//b", "/a", "a/", "ä", "a b", "a/b/c/d/e", "a\n", 7])
def test_another_topic_is_refused(topic: Any) -> None:
    """Nothing that would reach another level of AWS's topics, and no number of a maker's."""
    with pytest.raises(WireError, match="`topic` is not of its form"):
        TelemetryMessage.check(topic, 1)


@pytest.mark.parametrize("value", [{1, 2}, float("inf"), "\ud800", object], ids=ascii)
def test_a_value_that_is_no_json_is_refused(value: object) -> None:
    """In words, before it is kept."""
    with pytest.raises(WireError, match="the value is no JSON"):
        TelemetryMessage.check("speed", value)
