"""Conditions of different policies are asked about together, and what was not asked is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.comparison.compare import Difference, difference
from infra.policies.comparison.literals import literals
from infra.policies.comparison.samples import COMBINATIONS, Samples
from service.cedar.binding import bind
from service.cedar.policy_set import PolicySet

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES = Path(__file__).parents[4] / "policies"
FLEET = ReferenceFleet.read(POLICIES)
SCHEMA = load(POLICIES, TenantPolicies(tenant=TENANT_ID)).schema_json
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
OPERATE = 'action in Fleet::Action::"Operate"'
KEEPERS = f"""permit (principal in Fleet::Group::"keepers", {OPERATE}, resource is Fleet::Device)
when {{ resource has kind && resource.kind == "freezer" }};"""
CRITICAL = f"""forbid (principal, {OPERATE}, resource is Fleet::Device)
when {{ resource has criticality && CONDITION }};"""
HIGH = CRITICAL.replace("CONDITION", 'resource.criticality == "high"')
OR_MEDIUM = CRITICAL.replace("CONDITION", '["high", "medium"].contains(resource.criticality)')


def policies(**statements: str) -> PolicySet:
    """A set of a few policies, bound to the reference fleet's pool."""
    bound: Mapping[str, str] = {
        name: bind(f'@id("{name}")\n{text}', tenant=TENANT_ID, pool_id=POOL_ID)
        for name, text in statements.items()
    }
    return PolicySet(schema=SCHEMA, static=bound, templates={}, links=())


def between(old: PolicySet, new: PolicySet) -> Difference:
    """The difference for the tenant of the reference fleet."""
    return difference(old, new, fleet=FLEET, tenant=TENANT_ID, pool_id=POOL_ID, now=NOW)


def told(found: Difference) -> set[tuple[str, str, str]]:
    """Who, when and on what, of all flips."""
    return {(flip.who, flip.when, flip.resource) for flip in found.flips}


def test_kind_of_one_policy_meets_criticality_of_another():
    """A keeper of freezers loses a medium freezer by a forbid that speaks of no kind."""
    before = policies(keepers=KEEPERS, critical=HIGH)
    after = policies(keepers=KEEPERS, critical=OR_MEDIUM)
    found = between(before, after)
    freezer = "a press of kind freezer and of criticality medium"
    assert ("keepers", "at night", freezer) in told(found)
    (row,) = (line for line in found.table().splitlines() if line.startswith("keepers"))
    assert freezer in row
    assert row.endswith("yes: keepers  no: critical")


def test_command_of_one_policy_meets_address_of_another():
    """What two policies say of the circumstances is asked about in one request."""
    rebooting = f"""permit (principal in Fleet::Group::"keepers", {OPERATE}, resource)
when {{ context has command && context.command == "reboot" }};"""
    elsewhere = f"""forbid (principal, {OPERATE}, resource)
when {{ context has source_ip && context.source_ip.isInRange(ip("10.0.0.0/8")) }};"""
    found = between(policies(reboot=rebooting), policies(reboot=rebooting, elsewhere=elsewhere))
    assert ("keepers", "command reboot, from 10.0.0.0", "a press") in told(found)


def test_unrelated_groups_are_both_told():
    """A flip is told of each group by itself; one says nothing of another, nor of a machine."""
    opened = {
        name: f'permit (principal in Fleet::Group::"{name}", {OPERATE}, resource);'
        for name in ("keepers", "menders")
    }
    machines = f"""permit (principal, {OPERATE}, resource)
when {{ context has token && context.token has scope &&
  context.token.scope.contains("fleet/operate") }};"""
    of_region = f"""permit (principal, {OPERATE}, resource)
when {{ principal has "custom:region" && principal["custom:region"] == "eu-north" }};"""
    found = between(policies(), policies(**opened, machines=machines, region=of_region))
    who = {flip.who for flip in found.flips if flip.action == "StopDevice"}
    assert {
        "keepers",
        "menders",
        "machine with fleet/operate",
        "person's access token with fleet/operate",
        "keepers, of region eu-north",
    } <= who
    assert not any(" + " in one for one in who)


def test_what_was_not_asked_is_said():
    """Beyond the bound the number is told, and so is what no comparison asks."""
    many = ", ".join(f'"k{number}"' for number in range(COMBINATIONS))
    kinds = KEEPERS.replace('resource.kind == "freezer"', f"[{many}].contains(resource.kind)")
    samples = Samples(
        looked_at=literals([OR_MEDIUM, kinds]),
        changed=literals([OR_MEDIUM]),
        fleet=FLEET,
        tenant=TENANT_ID,
        now=NOW,
    )
    words = "devices with several of the labels, clocks, windows and dates at once"
    # Each kind with a medium criticality, and with none.
    assert list(samples.not_asked()) == [f"{COMBINATIONS} of {2 * COMBINATIONS} {words}"]
    asked = [name for name, _ in samples.resources([]) if " and " in name]
    assert len(asked) == COMBINATIONS
    found = Difference(
        flips=(), schema_changes=True, steps=(), asked=0, whens=(), not_asked=("9 things",)
    )
    always = "Not asked: values that no policy names, three groups at once"
    assert f"\n{always}; 9 things.\n" in found.table()
