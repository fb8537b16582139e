"""Grants of the API stand beside what the files say: told from it, and from what others made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID
from infra.policies.store import deployed
from infra.policies.store.update_order import pieces, plan
from service.cedar.binding import bind
from service.cedar.digest import policies_digest
from service.cedar.entities import GROUP, Entity, device_entities
from service.cedar.granted import (
    GrantTemplate,
    fingerprint,
    granted_statement,
    is_granted,
    with_granted,
)
from service.cedar.request import AuthorizationRequest, RequestContext
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

    from service.cedar.policy_set import PolicySet
    from tests.infra.policies.conftest import LiveStore

POLICIES: Final = Path(__file__).parents[4] / "policies"
BUNDLE: Final = load(POLICIES, TenantPolicies(tenant=TENANT_ID))
KIM: Final = EntityUid("Fleet::User", f"{POOL_ID}|kim")
LINE: Final = EntityUid("Fleet::DeviceGroup", "line-press")
BEGIN: Final = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
MANY: Final = 200


def ends(number: int) -> datetime:
    """The end of a grant."""
    return BEGIN + timedelta(minutes=number)


def granted(number: int) -> str:
    """A grant's policy for one device of its own, with an end of its own."""
    template = bind(
        BUNDLE.lendable["technician-for-line"].statement, tenant=TENANT_ID, pool_id=POOL_ID
    )
    return granted_statement(
        template,
        grant_id=f"01JD{number:022}",
        principal=KIM,
        resource=EntityUid("Fleet::Device", f"press-{number}"),
        until=ends(number),
    )


def asks(device: str, now: datetime) -> AuthorizationRequest:
    """May Kim, a technician, service the device then?"""
    technicians = Entity(uid=EntityUid(GROUP, f"{POOL_ID}|technicians"), attributes={})
    request = AuthorizationRequest.of(
        principal=KIM,
        action="MaintainDevice",
        entities=device_entities(
            device, tenant=TENANT_ID, groups=(), parents={}, attributes={}, tags={}
        ),
        context=RequestContext(now=now),
    )
    kim = Entity(uid=KIM, attributes={}, parents=(technicians.uid,))
    return replace(request, entities=(kim, technicians, *request.entities))


@pytest.fixture(scope="module")
def base() -> PolicySet:
    """What the files of the base say."""
    return BUNDLE.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)


def test_two_hundred_ends_stand_in_one_store(
    client: VerifiedPermissionsClient, live_store: LiveStore, base: PolicySet
) -> None:
    """Each is silent at its own end, and no update of the files takes one away."""
    texts = [granted(number) for number in range(1, MANY + 1)]
    for text in texts:
        client.create_policy(
            policyStoreId=live_store.id, definition={"static": {"statement": text}}
        )
    for number in (1, 2, MANY // 2, MANY):
        last = ends(number) - timedelta(seconds=1)
        assert live_store.allows(asks(f"press-{number}", last))
        assert not live_store.allows(asks(f"press-{number}", ends(number)))
    marks = {fingerprint(text) for text in texts}
    held = deployed.read(client, live_store.id, grants=marks)
    assert (held.static, len(marks)) == ({}, MANY)
    steps = plan(pieces(held), pieces(replace(base, schema=held.schema)))
    assert {step.verb for step in steps} == {"create"}


def test_who_calls_a_policy_a_grant_is_found_out(
    client: VerifiedPermissionsClient, live_store: LiveStore
) -> None:
    """Its fingerprint is none that the API has told: it stays in what differs."""
    ours, theirs = granted(1), granted(2)
    for text in (ours, theirs):
        client.create_policy(
            policyStoreId=live_store.id, definition={"static": {"statement": text}}
        )
    held = deployed.read(client, live_store.id, grants={fingerprint(ours)})
    assert list(held.static.values()) == [theirs]
    assert deployed.read(client, live_store.id).static == {}


def test_a_digest_tells_each_grant(base: PolicySet) -> None:
    """With the fingerprints that are told it is the stack's with them; else another one."""
    stacks, texts = policies_digest(base), (granted(1), granted(2))
    both = replace(base, static={**base.static, "SP1": texts[0], "SP2": texts[1]})
    marks = [fingerprint(text) for text in texts]
    assert policies_digest(both) == with_granted(stacks, reversed(marks))
    assert len({policies_digest(both), stacks, with_granted(stacks, marks[:1])}) == 3
    assert with_granted(stacks, ()) == stacks


def test_no_file_can_call_its_policy_a_grant() -> None:
    """The ids of files have no capital letter and no such form."""
    names = [path.stem for path in POLICIES.glob("*/*.cedar")]
    assert names
    assert not any(is_granted(f'@id("{name}")\n') for name in names)
    assert is_granted(granted(1))


def test_templates_with_an_end_are_lent_with_their_actions() -> None:
    """Those of the base that say `until`, each with all that it gives."""
    assert sorted(BUNDLE.lendable) == ["break-glass", "technician-for-line"]
    technician = BUNDLE.lendable["technician-for-line"]
    assert isinstance(technician, GrantTemplate)
    assert {"MaintainDevice", "ViewDevice"} <= technician.actions
    assert "OperateDevice" not in technician.actions
