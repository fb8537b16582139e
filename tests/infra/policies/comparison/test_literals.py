"""What policies look at is read out of their conditions, whatever operator compares it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from infra.policies.comparison.literals import literals

STATEMENT = """permit (principal, action, resource)
when {
  context.token.scope.contains("fleet/view") && principal["custom:region"] != "eu" &&
  context has command && context.source_ip.isInRange(ip("10.0.0.0/8")) &&
  !(resource.kind like "press*\\*") && resource.size <= 7 &&
  context.now < datetime("2026-12-01").offset(duration("-1d2h3m4s5ms"))
};"""


def test_everything_that_is_compared_is_read():
    """Texts, patterns, numbers, moments, durations and addresses, by the attributes read."""
    found = literals([STATEMENT])
    assert {
        "context.token.scope",
        "principal.custom:region",
        "context.command",
        "resource.kind",
    } <= set(found.texts)
    assert found.texts["resource.kind"] == {"pressx*"}
    assert found.texts["context.token.scope"] == {"fleet/view"}
    assert found.texts["context.command"] == set()
    assert found.numbers["resource.size"] == {7}
    assert found.addresses == {"10.0.0.0"}
    (moment,), (duration,) = found.moments, found.durations
    assert moment == datetime(2026, 12, 1, tzinfo=UTC)
    assert duration == -timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)
    assert found.edges() == {moment, moment + duration}
    assert found.reads("context.command")
    assert not found.reads("resource.region")


def test_a_tag_is_read_as_an_attribute_is():
    """What it is compared with is told apart from what other tags are compared with."""
    conditions = [
        'resource.hasTag("building") && resource.getTag("building") == "7"',
        'resource.getTag("floor") like "2*" && resource.hasTag("owner")',
        'resource.getTag("customer") == principal.email',
    ]
    found = literals(
        f"permit (principal, action, resource) when {{ {one} }};" for one in conditions
    )
    assert found.texts == {
        "resource#building": {"7"},
        "resource#floor": {"2x"},
        "resource#owner": set(),
        "resource#customer": set(),
        "principal.email": set(),
    }


def test_compared_attributes_share_what_they_are_compared_with():
    """A text reaches every attribute that it may decide about, through others and without one."""
    scope = "permit (principal, action, resource) when"
    found = literals(
        [
            f'{scope} {{ principal["custom:region"] == resource.region }};',
            f"{scope} {{ resource.region == context.command }};",
            f'{scope} {{ ["eu", "us"].contains(context.command) }};',
            f'{scope} {{ principal.email == context.reason && "a" == "b" }};',
        ]
    )
    assert found.texts["principal.custom:region"] == {"eu", "us"}
    assert found.texts["principal.email"] == {"a", "b"}
