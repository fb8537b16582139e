"""The status rule's SQL agrees with the wire and trusts nothing a device says of itself."""

from __future__ import annotations

import base64
import json
import re

from cedarfleet_device import wire
from cedarfleet_device.wire import MAX_DETAIL_BYTES

from infra.stacks.platform_stack.status_rule import KEEP_SECONDS, MAX_DETAIL_TEXT, STATUS_SQL
from service.settings import RecordSettings


def test_the_rule_listens_where_devices_report() -> None:
    """Its filter is the wire's status topic with both names left open."""
    assert f"FROM '{wire.status_topic('+', '+')}'" in STATUS_SQL


def test_the_rule_knows_every_state_of_the_wire() -> None:
    """A state that the device may report is stored, and no other text is."""
    pattern = re.search(r"regexp_matches\(state, '([^']+)'\)", STATUS_SQL)
    assert pattern is not None
    assert all(re.search(pattern[1], state) for state in wire.CommandState)
    assert not re.search(pattern[1], "record")
    assert not re.search(pattern[1], "failed; DROP")


def test_only_a_command_id_of_the_wire_makes_a_key() -> None:
    """A topic's free text could otherwise stand for another row of the same thing."""
    pattern = re.search(r"regexp_matches\(topic\(4\), '([^']+)'\)", STATUS_SQL)
    assert pattern is not None
    for text in (
        "01JD0000000000000000000000",
        "01jd0000000000000000000000",
        "01JD0000000000000000000000#record",
        "presence",
    ):
        assert bool(re.search(pattern[1], text)) == wire.is_command_id(text)


def test_a_state_stays_as_long_as_its_command() -> None:
    """The rule's expiry is the service's default, so that neither outlives the other."""
    days = RecordSettings().record_days
    assert days * 24 * 3600 == KEEP_SECONDS
    assert f"floor(timestamp() / 1000) + {KEEP_SECONDS} AS ttl" in STATUS_SQL


def test_the_rule_bounds_all_that_a_device_chooses() -> None:
    """What the wire allows passes, also escaped and in base64; nothing much larger does."""
    escaped = json.dumps("é" * (MAX_DETAIL_BYTES // 2))
    assert len(base64.b64encode(escaped[1:-1].encode())) <= MAX_DETAIL_TEXT
    assert f"length(encode(detail, 'base64')) <= {MAX_DETAIL_TEXT}" in STATUS_SQL
    assert re.search(r"length\(at\) <= (\d+)", STATUS_SQL)


def test_the_rule_names_every_column() -> None:
    """`SELECT *` would let a payload choose the partition that it is written to."""
    columns = re.match(r"SELECT (.*) FROM ", STATUS_SQL)
    assert columns is not None
    assert "*" not in columns[1]
    assert re.findall(r" AS (\w+)", columns[1]) == [
        "thing", "sk", "command_id", "sequence", "state", "detail", "device_time", "received_at",
        "ttl",
    ]  # fmt: skip
