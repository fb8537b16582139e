"""The diff tells who gains by the least loosening of a forbid, and names what it did not reach."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.policies import Grant, TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.comparison.compare import Difference, difference
from infra.policies.comparison.with_deployed import difference_of
from infra.policies.store.deployed import NotDeployedError, Store
from infra.policies.store.update_order import pieces, plan
from service.cedar.binding import bind

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from infra.policies.files.bundle import PolicyBundle
    from service.cedar.policy_set import PolicySet
    from tests.infra.policies.conftest import LiveStore

POLICIES = Path(__file__).parents[4] / "policies"
FLEET = ReferenceFleet.read(POLICIES)
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
MANAGERS = f'unless {{ principal in Fleet::Group::"{POOL_ID}|managers" }}'
EVERYWHERE = Grant(
    id="everywhere",
    template="certified-for-line",
    principal='Fleet::Group::"certified-line-press"',
    resource='Fleet::DeviceGroup::"all"',
)


def between(old: PolicySet, new: PolicySet) -> Difference:
    """The difference for the tenant of the reference fleet."""
    return difference(old, new, fleet=FLEET, tenant=TENANT_ID, pool_id=POOL_ID, now=NOW)


def only(policies: PolicySet, *names: str) -> PolicySet:
    """A few of the policies, so that there is little to ask."""
    return replace(
        policies, static={name: policies.static[name] for name in names}, templates={}, links=()
    )


def changed(policies: PolicySet, name: str, old: str, new: str) -> PolicySet:
    """The set with one policy changed."""
    assert old in policies.static[name]
    return replace(
        policies, static={**policies.static, name: policies.static[name].replace(old, new)}
    )


@pytest.mark.parametrize(
    ("names", "old", "new", "flip"),
    [
        (
            ("operators-view-only", "managers-everything"),
            MANAGERS,
            "",
            ("managers + operators", "at night", "StopDevice", "a press"),
        ),
        (
            ("tenant-guard-artifact", "managers-everything"),
            "context has artifact &&",
            "context has artifact && false &&",
            ("managers", "another tenant's file", "DownloadFile", "a press"),
        ),
        (
            ("firmware-in-maintenance-window", "machines-update"),
            "< resource.window_end",
            "<= resource.window_end",
            ("machine with fleet/update", "at 03:00:00Z", "UpdateFirmware", "a press"),
        ),
        (
            ("firmware-in-maintenance-window", "machines-update"),
            'duration("24h")',
            'duration("25h")',
            (
                "machine with fleet/update",
                "at night",
                "UpdateFirmware",
                "a press with utc_offset +24:01",
            ),
        ),
        (
            ("firmware-when-patch-is-old", "machines-update"),
            "> duration",
            ">= duration",
            (
                "machine with fleet/update",
                "at night",
                "UpdateFirmware",
                "a press patched 2026-10-23T23:00:00Z",
            ),
        ),
        (
            ("machines-operate",),
            "context.token.sub == context.token.client_id",
            "true",
            ("person's access token with fleet/operate", "at night", "StopDevice", "a press"),
        ),
        (
            ("certified-by-it-staff", "managers-everything"),
            '.contains("certified_by")',
            '.contains("other")',
            ("managers", "tags certified_by", "SetDeviceTags", "a press"),
        ),
    ],
)
def test_least_change_flips(
    policies: PolicySet,
    names: tuple[str, ...],
    old: str,
    new: str,
    flip: tuple[str, str, str, str],
):
    """A condition taken away or moved by one step is told with an example, both ways round."""
    before = only(policies, *names)
    found = between(before, changed(before, names[0], old, new))
    told = {(one.who, one.when, one.action, one.resource): one.after.allowed for one in found.flips}
    assert told[flip] is (new != "")
    assert found.unreached == ()


def test_forbid_that_only_a_grant_meets_is_missed(policies: PolicySet):
    """Without `operators-view-only` an operator with a technician's grant services devices."""
    kept = {
        name: text
        for name, text in policies.static.items()
        if name in ("operators-view", "operators-view-only")
    }
    (link,) = (link for link in policies.links if link.id == "line-press-certified")
    before = replace(
        policies,
        static=kept,
        links=(link,),
        templates={link.template: policies.templates[link.template]},
    )
    after = replace(before, static={"operators-view": kept["operators-view"]})
    assert (
        "certified-line-press + operators + technicians",
        "MaintainDevice",
        "a press in line-press",
    ) in {
        (flip.who, flip.action, flip.resource)
        for flip in between(before, after).flips
        if flip.after.allowed
    }


@pytest.mark.parametrize(
    ("condition", "who", "when"),
    [
        ('context has command && context.command == "reboot"', "no group", "command reboot"),
        (
            'principal has email && principal.email like "*@example.com"',
            "managers, x@example.com",
            "at night",
        ),
        (
            'context has source_ip && context.source_ip.isInRange(ip("10.0.0.0/8"))',
            "no group",
            "from 10.0.0.0",
        ),
    ],
)
def test_whatever_a_new_permit_compares_is_asked(
    policies: PolicySet, condition: str, who: str, when: str
):
    """The literals of conditions make circumstances and people."""
    before = only(policies, "operators-view-only")
    scope = 'principal, action in Fleet::Action::"Operate", resource'
    text = f'@id("odd") permit ({scope}) when {{ {condition} }};'
    found = between(before, replace(before, static={**before.static, "odd": text}))
    assert (who, when) in {(flip.who, flip.when) for flip in found.flips}
    assert found.unreached == ()


@pytest.mark.parametrize(
    ("condition", "on"),
    [
        ('resource.hasTag("owner")', "a press with tag owner another-tenant"),
        (
            'resource.hasTag("building") && resource.getTag("building") == "7"',
            "a press with tag building 7",
        ),
    ],
)
def test_whatever_tag_a_new_permit_reads_is_asked(policies: PolicySet, condition: str, on: str):
    """The devices of the fleet have none: one with the tag is made, of each text."""
    before = only(policies, "operators-view-only")
    scope = 'principal, action == Fleet::Action::"StopDevice", resource'
    text = f'@id("odd") permit ({scope}) when {{ {condition} }};'
    found = between(before, replace(before, static={**before.static, "odd": text}))
    assert on in {flip.resource for flip in found.flips}
    assert found.unreached == ()


def test_what_no_question_reaches_is_named(policies: PolicySet):
    """A policy that no request matches, and a change that none tells apart, are said."""
    before = only(policies, "tenant-guard", "managers-everything")
    odd = (
        '@id("odd") permit (principal, action, resource) '
        "when { context has source_ip && context.source_ip.isIpv6() };"
    )
    one = replace(before, static={**before.static, "odd": odd})
    found = between(before, one)
    assert (found.flips, found.unreached) == ((), ("create permit odd",))
    assert "\n1 policies were reached by no question: create permit odd\n" in found.table()
    same = changed(one, "odd", "isIpv6", "isMulticast")
    assert (
        between(
            changed(one, "odd", "context has source_ip &&", "!(context has source_ip) ||"), before
        ).unreached
        == ()
    )
    assert between(one, changed(same, "tenant-guard", "@id", "// anew\n@id")).unreached == (
        "change of permit odd",
    )


def test_grant_over_all_devices_is_compared(
    client: VerifiedPermissionsClient, live_store: LiveStore
):
    """A grant over the group that holds every device is asked about like any other."""
    bundle = small(load(POLICIES, TenantPolicies(tenant=TENANT_ID, grants=(EVERYWHERE,))))
    found = of_store(client, live_store, bundle)
    told = {(flip.who, flip.action, flip.resource) for flip in found.flips}
    assert ("certified-line-press + technicians", "MaintainDevice", "a press") in told
    assert ("certified-line-press + technicians", "ViewDownload", "group all") in told


def test_other_pool_and_incomparable_store_are_said(
    client: VerifiedPermissionsClient, live_store: LiveStore, policies: PolicySet
):
    """A wrong pool is refused instead of every decision flipping; an unknown part is told."""
    bundle = small(load(POLICIES, TenantPolicies(tenant=TENANT_ID)))
    for step in plan([], pieces(only(policies, "operators-view"))):
        live_store.take(step)
    with pytest.raises(
        NotDeployedError,
        match=r"names nobody of user pool `eu-central-1_other`.*is it the tenant's",
    ):
        of_store(client, live_store, bundle, pool_id="eu-central-1_other")
    off = client.create_policy_store(validationSettings={"mode": "OFF"})["policyStoreId"]
    client.put_schema(policyStoreId=off, definition={"cedarJson": bundle.schema_json})
    text = 'permit (principal, action, resource) when { context.now > datetime("someday") };'
    client.create_policy(policyStoreId=off, definition={"static": {"statement": text}})
    with pytest.raises(NotDeployedError, match=r"cannot be compared with the files: .*someday"):
        of_store(client, replace(live_store, id=off), bundle)


def test_policy_left_twice_is_a_step(client: VerifiedPermissionsClient, live_store: LiveStore):
    """What an interrupted update left a second time is deleted once, and nothing flips."""
    bundle = small(load(POLICIES, TenantPolicies(tenant=TENANT_ID)))
    for step in plan([], pieces(bundle.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID))):
        live_store.take(step)
    statement = bind(bundle.permits[0].statement, tenant=TENANT_ID, pool_id=POOL_ID)
    client.create_policy(
        policyStoreId=live_store.id, definition={"static": {"statement": statement}}
    )
    found = of_store(client, live_store, bundle)
    assert found.flips == ()
    assert [step.verb for step in found.steps] == ["delete"]


def small(bundle: PolicyBundle) -> PolicyBundle:
    """The bundle with few policies, so that there is little to ask."""
    kept = tuple(
        policy for policy in bundle.static if policy.id in ("tenant-guard", "operators-view")
    )
    return replace(bundle, static=kept)


def of_store(
    client: VerifiedPermissionsClient,
    store: LiveStore,
    bundle: PolicyBundle,
    *,
    pool_id: str = POOL_ID,
) -> Difference:
    """What diff and preview ask for."""
    where = Store(policy_store_id=store.id, pool_id=pool_id)
    return difference_of(client, where, bundle, fleet=FLEET, tenant=TENANT_ID, now=NOW)
