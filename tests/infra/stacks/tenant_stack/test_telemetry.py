"""The telemetry rule: its SQL trusts nothing a device says of itself, its role is the tenant's."""

from __future__ import annotations

import json
import re

from cedarfleet_device import wire

from infra import names
from infra.stacks.tenant_stack import telemetry

ARNS = names.Arns(region="eu-central-1", account_id="123456789012")
SQL = telemetry.sql(tenant="acme", days=30)


def _pattern(of: str) -> str:
    found = re.search(rf"regexp_substr\({re.escape(of)}, '([^']+)'\) = {re.escape(of)}", SQL)
    assert found is not None, of
    return found[1]


def test_the_rule_names_every_column() -> None:
    """`SELECT *` would let a payload choose the partition that it is written to."""
    columns = re.match(r"SELECT (.*) FROM ", SQL)
    assert columns is not None
    assert "*" not in columns[1].replace("[^/]+", "")
    assert re.findall(r" AS (\w+)", columns[1]) == [
        "thing", "sk", "device", "topic", "sequence", "at", "value", "received_at", "ttl",
    ]  # fmt: skip
    assert "+ 2592000 AS ttl" in SQL


def test_only_a_device_of_the_tenant_is_written_down() -> None:
    """Its id must be the client's, and no tenant whose id begins alike passes."""
    assert "clientid() = topic(2)" in SQL
    pattern = _pattern("topic(2)")
    for thing in ("acme2--press-07", "acm--press-07", "press-07", "acme--", "acme--a b"):
        found = re.search(pattern, thing)
        assert found is None or found[0] != thing, thing
    found = re.search(pattern, "acme--press-07")
    assert found is not None
    assert found[0] == "acme--press-07"


def test_the_rule_takes_the_topics_of_the_wire() -> None:
    """What the wire lets a maker publish is written down, and nothing else."""
    pattern = _pattern("regexp_replace(topic(), '^fleet/[^/]+/telemetry/', '')")
    for topic in ("speed", "motor/left", "a/b/c/d", "a/b/c/d/e", "a b", "", "a//b", "speed\n"):
        found = re.search(pattern, topic)
        assert (found is not None and found[0] == topic) == wire.is_telemetry_topic(topic), topic
    assert f"<= {wire.MAX_TELEMETRY_TOPIC}" in SQL


def test_the_role_writes_under_its_tenants_names_alone() -> None:
    """Its rows, its stream, its prefix of the bucket; no tenant whose id begins alike."""
    document = telemetry.permissions(
        tenant="acme", arns=ARNS, bucket="acme-artifacts-1", commands_table="commands"
    )
    granted = {statement["Sid"]: statement for statement in document["Statement"]}
    rows = granted["LastValues"]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert rows == ["acme--telemetry#*"]
    assert granted["Stream"]["Resource"].endswith(":deliverystream/cedarfleet-acme-telemetry")
    assert granted["Lines"]["Resource"] == "arn:aws:s3:::acme-artifacts-1/.telemetry/*"
    assert "acme2" not in json.dumps(document)


def test_a_tenant_cannot_be_called_as_the_role_of_another() -> None:
    """`acme-telemetry` would have the tenant role that is acme's telemetry role."""
    assert names.tenant_role("acme-telemetry") == names.telemetry_role("acme")
    assert names.is_reserved("acme-telemetry")
