"""What Verified Permissions is asked, how much at once, and that each question has its answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer, _item, batches
from service.cedar.decision import Allowed
from service.cedar.entities import Entity
from service.cedar.request import AuthorizationRequest, TokenBearer
from service.cedar.values import EntityUid
from service.domain.devices import Device
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.permissions import Permission
from service.errors import UpstreamError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor, Call


def test_batches_stay_within_the_quotas() -> None:
    """At most 30 requests and 100 entities in one call, all in order."""
    requests = [
        AuthorizationRequest(
            principal=EntityUid("Fleet::User", "pool|someone"),
            action=Permission.UPDATE_FIRMWARE,
            resource=EntityUid("Fleet::Device", f"d{number}"),
            entities=Device(
                tenant="acme",
                id=f"d{number}",
                groups=tuple(f"g{number}-{group}" for group in range(number % 9)),
            ).entities({f"g{number}-{group}": () for group in range(9)}),
            context={"now": datetime.now(UTC)},
        )
        for number in range(100)
    ]
    cut = list(batches(requests))
    assert [request for batch in cut for request in batch] == requests
    for batch in cut:
        assert len(batch) <= 30
        assert len({entity.uid for request in batch for entity in request.entities}) <= 100
        assert len(batch) > 1, "one call for each question would be slow"
    assert list(batches([])) == []


def test_a_batch_stays_within_a_requests_size() -> None:
    """Devices full of tags take as many calls as 1 MB asks for, and no device is left out."""
    tags = {f"t{number}".ljust(64, "x"): "\U0001f3ed" * 128 for number in range(50)}
    requests = [
        AuthorizationRequest(
            principal=EntityUid("Fleet::User", "pool|someone"),
            action=Permission.UPDATE_FIRMWARE,
            resource=EntityUid("Fleet::Device", f"d{number}"),
            entities=Device(tenant="acme", id=f"d{number}", tags=tags).entities({}),
            context={},
        )
        for number in range(30)
    ]
    cut = list(batches(requests))
    assert [request for batch in cut for request in batch] == requests
    sent = json.dumps({name: {"string": text} for name, text in tags.items()})
    for batch in cut:
        assert len(batch) * len(sent) < 1_000_000
        assert len(batch) > 1


def questions(number: int, groups: int = 0) -> list[AuthorizationRequest]:
    """So many, each of another device that stands in so many groups of its own."""
    return [
        AuthorizationRequest(
            principal=EntityUid("Fleet::User", "pool|someone"),
            action=Permission.UPDATE_FIRMWARE,
            resource=EntityUid("Fleet::Device", f"d{index}"),
            entities=tuple(
                Entity(
                    uid=EntityUid("Fleet::Device", f"d{index}-{part}"), attributes={}, parents=()
                )
                for part in range(groups + 1)
            ),
            context={"emergency": True},
        )
        for index in range(number)
    ]


def test_a_batch_is_filled_up_to_each_quota() -> None:
    """30 questions make one call and 31 two; so do 100 entities, and one more."""
    assert [len(batch) for batch in batches(questions(30))] == [30]
    assert [len(batch) for batch in batches(questions(31))] == [30, 1]
    assert [len(batch) for batch in batches(questions(20, groups=4))] == [20]
    assert [len(batch) for batch in batches(questions(21, groups=4))] == [20, 1]
    assert [len(batch) for batch in batches(questions(2, groups=150))] == [1, 1]


def principal(tenant: Tenant, use: TokenUse) -> Principal:
    """Somebody with a token of this use."""
    return Principal(
        tenant=tenant,
        subject="someone",
        token_use=use,
        groups=(),
        email=None,
        client_id="acmeclient",
        expires_at=1,
        claims=VerifiedClaims({}),
        token="header.claims.signature",
    )


@pytest.mark.parametrize("answers", [0, 29, 31])
def test_each_question_needs_an_answer_of_its_own(
    acme: Tenant, door: AnsweredDoor, answers: int
) -> None:
    """As many answers as questions, or none counts: all that came may be `ALLOW`."""
    allow = {"decision": "ALLOW", "determiningPolicies": [], "errors": []}
    door.answer = lambda _: {"results": [allow] * answers}
    authorizer = VerifiedPermissionsAuthorizer(aws=door)
    for asked in (
        authorizer.decide_all(principal(acme, TokenUse.ID), questions(30)),
        authorizer.decide_all_for(acme, TokenBearer(), questions(30)),
    ):
        with pytest.raises(UpstreamError, match="left questions open"):
            asyncio.run(asked)


def test_what_many_questions_share_is_spelt_once() -> None:
    """Groups and tenants; a device is its question's own, and a group of now is no earlier one."""
    device = Device(tenant="acme", id="d", groups=("line",))
    entities = {entity.uid.type: entity for entity in device.entities({"line": ()})}
    for kind, entity in entities.items():
        again = _item(entity) is _item(entity)
        assert again is (kind in {"Fleet::DeviceGroup", "Fleet::Tenant"}), kind
    group = entities["Fleet::DeviceGroup"]
    changed = replace(group, parents=())
    assert _item(group)["parents"] != _item(changed)["parents"] == []


def test_many_questions_are_answered_in_order(acme: Tenant, door: AnsweredDoor) -> None:
    """Over all calls; each entity is sent once a call, though many questions name it."""

    def answer(call: Call) -> dict[str, Any]:
        asked = [request["resource"]["entityId"] for request in call.arguments["requests"]]
        decisions = ["ALLOW" if name == "d0" else "DENY" for name in asked]
        return {
            "results": [
                {"decision": decision, "determiningPolicies": [], "errors": []}
                for decision in decisions
            ]
        }

    door.answer = answer
    authorizer = VerifiedPermissionsAuthorizer(aws=door)
    asked = [*questions(31), *questions(1)]
    decided = asyncio.run(authorizer.decide_all(principal(acme, TokenUse.ID), asked))
    allowed = [isinstance(decision, Allowed) for decision in decided]
    assert allowed == [True, *[False] * 30, True]
    assert [len(call.arguments["entities"]["entityList"]) for call in door.calls] == [30, 2]


@pytest.mark.parametrize(
    ("use", "given"), [(TokenUse.ID, "identityToken"), (TokenUse.ACCESS, "accessToken")]
)
def test_the_store_is_asked_with_the_callers_own_token(
    acme: Tenant, door: AnsweredDoor, use: TokenUse, given: str
) -> None:
    """The tenant's store, the token under its own name, and policies by the names of our files."""
    named = replace(acme, policy_names={"SP1": "operators-view-only"})
    door.answer = lambda _: {
        "decision": "DENY",
        "determiningPolicies": [{"policyId": "SP2"}, {"policyId": "SP1"}],
        "errors": [],
    }
    authorizer = VerifiedPermissionsAuthorizer(aws=door)
    [question] = questions(1)
    decided = asyncio.run(authorizer.decide(principal(named, use), question))
    assert not isinstance(decided, Allowed)
    assert decided.policies == ("SP2", "operators-view-only")
    [call] = door.calls
    assert call.arguments["policyStoreId"] == "PSacme"
    tokens = {name: text for name, text in call.arguments.items() if name.endswith("Token")}
    assert tokens == {given: "header.claims.signature"}
    assert call.arguments["context"] == {"contextMap": {"emergency": {"boolean": True}}}


def test_an_allow_with_errors_is_no_allow(acme: Tenant, door: AnsweredDoor) -> None:
    """A policy that could not be evaluated might have forbidden it."""
    door.answer = lambda _: {
        "decision": "ALLOW",
        "determiningPolicies": [{"policyId": "SP1"}],
        "errors": [{"errorDescription": "no attribute `kind`"}],
    }
    authorizer = VerifiedPermissionsAuthorizer(aws=door)
    [question] = questions(1)
    decided = asyncio.run(authorizer.decide(principal(acme, TokenUse.ID), question))
    assert not isinstance(decided, Allowed)
