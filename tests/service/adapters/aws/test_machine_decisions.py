"""A machine that is not here with a token is decided on as the same token would be.

The store is the one of the embedded cloud, called in process with what the adapter sends: of a
token it makes principal and context itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer
from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.decision import Allowed
from service.cedar.request import AuthorizationRequest, RequestContext
from service.domain.devices import Device
from service.domain.permissions import Permission
from tests.service.operations.test_decided_alike import ACME, Store, caller, endpoint
from tests.service.stamped_policies import POLICIES, stamped

if TYPE_CHECKING:
    from service.cedar.decision import Decision
    from service.domain.identities import Principal
    from tests.service.adapters.aws.answered_line import AnsweredDoor

ACTIONS: Final = (
    Permission.VIEW_DEVICE,
    Permission.OPERATE_DEVICE,
    Permission.MAINTAIN_DEVICE,
    Permission.DOWNLOAD_FILE,
)


def questions(machine: Principal) -> list[AuthorizationRequest]:
    """What a campaign and more would ask of a device of acme, and of another tenant's."""
    devices = [Device(tenant="acme", id="press-07"), Device(tenant="globex", id="pump-01")]
    return [
        AuthorizationRequest.of(
            principal=machine.bearer(frozenset()).uid(ACME.pool_id),
            action=action,
            entities=device.entities(ACME.groups),
            context=RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC), targets=2),
        )
        for action in ACTIONS
        for device in devices
    ]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("fleet/view", {Permission.VIEW_DEVICE}),
        ("fleet/operate", {Permission.OPERATE_DEVICE}),
        ("fleet/view fleet/operate", {Permission.VIEW_DEVICE, Permission.OPERATE_DEVICE}),
        ("fleet/update", {Permission.DOWNLOAD_FILE}),
        ("other/scope", set[Permission]()),
    ],
)
def test_a_machine_is_decided_as_its_token_is(
    door: AnsweredDoor, scope: str, allowed: set[Permission]
) -> None:
    """By the same policies, by the store and by its twin; one that no scope gives is refused."""
    base = stamped(ACME).static
    store = Store.of(list(base.values()), [])
    names = {text: name for name, text in base.items()}
    tenant = replace(
        ACME,
        policy_store_id=store.id,
        policy_names={id_: names[text] for id_, text in store.policies.static.items()},
    )
    machine = replace(caller(scope), tenant=tenant)
    door.answer = lambda call: endpoint()(call.operation, **call.arguments)
    asked, bearer = questions(machine), machine.bearer(frozenset())

    async def scenario() -> list[tuple[Decision, ...]]:
        aws, twin = VerifiedPermissionsAuthorizer(aws=door), CedarAuthorizer(POLICIES)
        return [
            await aws.decide_all(machine, asked),
            await aws.decide_all_for(tenant, bearer, asked),
            await twin.decide_all(machine, asked),
            await twin.decide_all_for(tenant, bearer, asked),
        ]

    by_token, *others = asyncio.run(scenario())
    for decided in others:
        assert decided == by_token
    own = zip(asked[::2], by_token[::2], strict=True)
    assert {one.action for one, said in own if isinstance(said, Allowed)} == allowed
    assert not any(isinstance(said, Allowed) for said in by_token[1::2]), "another tenant's"
    endpoint()("DeletePolicyStore", policyStoreId=store.id)
