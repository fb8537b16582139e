"""The diff finds every decision that flips between a store and the files, and no other."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.comparison.compare import Difference, difference, nothing
from infra.policies.store import deployed
from infra.policies.store.deployed import NotDeployedError
from infra.policies.store.update_order import pieces, plan
from service.cedar.binding import bind

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from service.cedar.policy_set import PolicySet
    from tests.infra.policies.conftest import LiveStore

POLICIES = Path(__file__).parents[4] / "policies"
FLEET = ReferenceFleet.read(POLICIES)
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    """The base policies with one grant: fewer people to ask about."""
    grants = tuple(grant for grant in FLEET.grants if grant.id == "kim-until-december")
    loaded = load(POLICIES, TenantPolicies(tenant=TENANT_ID, grants=grants))
    return loaded.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)


def between(old: PolicySet, new: PolicySet) -> Difference:
    """The difference for the tenant of the reference fleet."""
    return difference(old, new, fleet=FLEET, tenant=TENANT_ID, pool_id=POOL_ID, now=NOW)


def with_policy(policies: PolicySet, name: str, statement: str) -> PolicySet:
    """The set with one policy more."""
    statement = bind(statement, tenant=TENANT_ID, pool_id=POOL_ID)
    return replace(policies, static={**policies.static, name: statement})


def test_same_set_has_no_difference(policies: PolicySet):
    """Nothing flips and nothing is to be done."""
    found = between(policies, policies)
    assert (found.flips, found.steps) == ((), ())
    assert not found
    assert found.table() == "The store holds what the files say."


def test_new_permit_flips_what_it_opens(policies: PolicySet):
    """A permit for a group and a kind of device that nobody knew is found."""
    visitors = """@id("visitors")
permit (
  principal in Fleet::Group::"visitors",
  action == Fleet::Action::"ViewDevice",
  resource is Fleet::Device
)
when { resource has kind && resource.kind == "elevator" };
"""
    found = between(policies, with_policy(policies, "visitors", visitors))
    assert {(flip.who, flip.action, flip.resource) for flip in found.flips} == {
        ("visitors", "ViewDevice", "a press of kind elevator"),
        ("visitors", "ViewDevice", "a press of all lines of kind elevator"),
    }
    assert all(
        not flip.before.allowed and flip.after.policies == ("visitors",) for flip in found.flips
    )
    assert found.asked > 1000
    lines = found.table().splitlines()
    assert lines[0].endswith("decisions flip")
    assert lines[2].split() == ["who", "when", "action", "on", "deployed", "files"]
    assert lines[-1] == "  create permit visitors"


def test_narrower_end_of_a_grant_flips_around_that_moment(policies: PolicySet):
    """A grant that ends earlier is found, though on the day itself nothing changes."""
    link = next(link for link in policies.links if link.id == "kim-until-december")
    earlier = policies.templates[link.template].replace(
        "2026-12-01T00:00:00Z", "2026-11-25T00:00:00Z"
    )
    found = between(
        policies, replace(policies, templates={**policies.templates, link.template: earlier})
    )
    assert {flip.when for flip in found.flips} == {
        "emergency before 2026-12-01T00:00:00Z",
        "emergency at 2026-11-25T00:00:00Z",
        "emergency at 2026-11-25T00:00:01Z",
        "emergency at 2026-11-30T23:59:59Z",
    }
    assert {flip.who for flip in found.flips} == {"user kim + technicians"}
    assert [str(step) for step in found.steps] == [
        "create permit kim-until-december",
        "delete permit kim-until-december",
    ]


def test_lost_forbid_is_found(policies: PolicySet):
    """A forbid that is gone flips denials to permissions: here the guard."""
    static = {name: text for name, text in policies.static.items() if name != "tenant-guard"}
    found = between(policies, replace(policies, static=static))
    assert {flip.resource for flip in found.flips} == {"another tenant's press"}
    assert all(flip.after.allowed for flip in found.flips)
    assert "  always but emergency, no reason  " in found.table()


def test_reworded_policy_is_a_step_without_a_flip(policies: PolicySet):
    """A change that decides nothing is still said, since the store will be written."""
    text = policies.static["operators-view"].replace("// Operators watch", "// All operators watch")
    found = between(policies, replace(policies, static={**policies.static, "operators-view": text}))
    assert found.flips == ()
    assert found.table().startswith("0 of ")
    assert [str(step) for step in found.steps] == [
        "create permit operators-view",
        "delete permit operators-view",
    ]


def test_changed_schema_is_the_first_step(policies: PolicySet):
    """A schema that differs is said first; one that is only written otherwise is the same."""
    schema = json.loads(policies.schema)
    assert not between(replace(policies, schema=json.dumps(schema, indent=2)), policies)
    del schema["Fleet"]["actions"]["StopDevice"]
    found = between(replace(policies, schema=json.dumps(schema)), policies)
    assert found.table().endswith("Steps, in this order:\n  put schema")


def test_store_is_read_back_as_it_was_stamped(
    client: VerifiedPermissionsClient, live_store: LiveStore, policies: PolicySet
):
    """What stands in the store, links and templates included, is what the files say."""
    for step in plan(pieces(nothing(policies)), pieces(policies)):
        live_store.take(step)
    held = deployed.read(client, live_store.id)
    assert held.static == policies.static
    assert held.schema == policies.schema
    assert between(held, policies).steps == ()
    live_store.client.create_policy(
        policyStoreId=live_store.id,
        definition={
            "static": {
                "statement": 'forbid (principal, action == Fleet::Action::"StopDevice", resource);'
            }
        },
    )
    found = between(deployed.read(client, live_store.id), policies)
    assert {flip.action for flip in found.flips} == {"StopDevice"}
    assert [step.verb for step in found.steps] == ["delete"]


def test_large_store_is_read_whole(
    client: VerifiedPermissionsClient, live_store: LiveStore, policies: PolicySet
):
    """More policies than one page of the list holds are all read, and two of one name stay two."""
    statement = policies.static["operators-view"]
    for number in range(55):
        text = f"// {number}\n{statement}"
        client.create_policy(
            policyStoreId=live_store.id, definition={"static": {"statement": text}}
        )
    held = deployed.read(client, live_store.id)
    assert {text.partition("\n")[0] for text in held.static.values()} == {
        f"// {number}" for number in range(55)
    }
    assert "operators-view" in held.static


def test_missing_store_is_said(client: VerifiedPermissionsClient):
    """A store that is not there is an error, not an empty set."""
    with pytest.raises(NotDeployedError, match="policy store `PSEXAMPLEabcdefg111111`"):
        deployed.read(client, "PSEXAMPLEabcdefg111111")
