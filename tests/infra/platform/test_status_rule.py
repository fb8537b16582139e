"""The SQL of the status rule agrees with the wire and trusts nothing that a device says of itself."""

from __future__ import annotations

import re

from cedarfleet_device import wire

from infra.platform.status_rule import STATUS_SQL


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


def test_the_rule_names_every_column() -> None:
    """`SELECT *` would let a payload choose the partition that it is written to."""
    columns = re.match(r"SELECT (.*) FROM ", STATUS_SQL)
    assert columns is not None
    assert "*" not in columns[1]
    assert re.findall(r" AS (\w+)", columns[1]) == [
        "thing", "sk", "command_id", "sequence", "state", "detail", "device_time", "received_at",
    ]  # fmt: skip
