"""STRICT stores: groups of actions, declared types and tokens decide as Cedar by hand.

By hand means without schema and endpoint: the actions' own hierarchy is written among the entities,
and a token is the principal, the groups and the context that the user guide says it becomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.local.verified_permissions.assertions import assert_same
from tests.infra.local.verified_permissions.shop_strategies import (
    ACTIONS,
    ASKED,
    CLAIMS,
    CONTEXTS,
    ITEMS_SHELVED,
    PEOPLE,
    POOL,
    STATEMENTS,
)
from tests.infra.local.verified_permissions.strategies import RECENT, Pair

if TYPE_CHECKING:
    from .conftest import Ask
    from .issuer import Issuer


def _hierarchy() -> list[Any]:
    """The schema's actions as entities written by hand."""
    return [
        {
            "uid": {"type": "Shop::Action", "id": name},
            "attrs": {},
            "parents": [{"type": "Shop::Action", "id": parent} for parent in parents],
        }
        for name, parents in ACTIONS.items()
    ]


def _user(name: str, claims: dict[str, Any], groups: set[str]) -> dict[str, Any]:
    attributes = {
        claim: claims[claim] for claim in ("email", "level", "custom:dept") if claim in claims
    }
    if "custom:dept" in claims:
        attributes["custom"] = {"dept": claims["custom:dept"]}
    return {
        "uid": {"type": "Shop::User", "id": f"{POOL}|{name}"},
        "attrs": attributes,
        "parents": [{"type": "Shop::Group", "id": f"{POOL}|{group}"} for group in groups],
    }


def _by_hand(
    statements: list[str],
    *,
    name: str,
    action: str,
    item: str,
    context: dict[str, Any],
    entities: list[Any],
) -> cedarpy.AuthzResult:
    request = {
        "principal": {"type": "Shop::User", "id": f"{POOL}|{name}"},
        "action": {"type": "Shop::Action", "id": action},
        "resource": {"type": "Shop::Item", "id": item},
        "context": context,
    }
    return cedarpy.is_authorized(request, "\n".join(statements), [*entities, *_hierarchy()])


@pytest.fixture(scope="module")
def asked(ask: type[Ask], pool: Issuer) -> Ask:
    """One endpoint that knows the pool's keys."""
    return ask(keys={pool.url: pool.jwks()})


@pytest.fixture
def grouped(schema: dict[str, Any]) -> dict[str, Any]:
    """The shop's schema with the groups of ``ACTIONS``."""
    actions = schema["Shop"]["actions"]
    for name, parents in ACTIONS.items():
        actions.setdefault(name, {})["memberOf"] = [{"id": parent} for parent in parents]
    return schema


@pytest.mark.soak
@RECENT
@given(st.lists(STATEMENTS, min_size=1, max_size=6), PEOPLE, CLAIMS, ASKED, ITEMS_SHELVED, CONTEXTS)
def test_strict_decisions_equal_cedar_with_actions_by_hand(  # noqa: PLR0917 - pytest passes by name
    asked: Ask,
    grouped: dict[str, Any],
    statements: list[str],
    name: str,
    claims: dict[str, Any],
    action: str,
    about: tuple[str, tuple[list[Any], list[Any]]],
    context: Pair,
):
    """`action in <group>` holds through groups of groups; declared types mean what they say."""
    (item, (typed, plain)), user = about, _user(name, claims, set(claims.get("cognito:groups", [])))
    attributes: dict[str, Any] = {
        claim: {"long" if claim == "level" else "string": text}
        for claim, text in user["attrs"].items()
        if claim != "custom"
    }
    if "custom" in user["attrs"]:
        attributes["custom"] = {"record": {"dept": {"string": user["attrs"]["custom"]["dept"]}}}
    identifier = {"entityType": "Shop::User", "entityId": user["uid"]["id"]}
    parents = [
        {"entityType": parent["type"], "entityId": parent["id"]} for parent in user["parents"]
    ]
    store, ids = asked.store(*statements, mode="STRICT", schema=grouped)
    answer = asked(
        "IsAuthorized",
        policyStoreId=store,
        principal=identifier,
        action={"actionType": "Shop::Action", "actionId": action},
        resource={"entityType": "Shop::Item", "entityId": item},
        entities={
            "entityList": [
                *typed,
                {"identifier": identifier, "attributes": attributes, "parents": parents},
            ]
        },
        context={"contextMap": context[0]},
    )
    asked("DeletePolicyStore", policyStoreId=store)
    by_hand = _by_hand(
        statements, name=name, action=action, item=item, context=context[1], entities=[*plain, user]
    )
    assert_same(answer, by_hand, statements, ids, forbid_errors="deny")


@pytest.mark.soak
@RECENT
@given(
    st.lists(STATEMENTS, min_size=1, max_size=6),
    PEOPLE,
    st.tuples(st.none() | CLAIMS, st.none() | CLAIMS).filter(lambda pair: pair != (None, None)),
    st.lists(st.tuples(ASKED, ITEMS_SHELVED, CONTEXTS), min_size=1, max_size=3),
)
def test_tokens_decide_as_the_principal_that_they_become(  # noqa: PLR0917 - pytest passes by name
    asked: Ask,
    pool: Issuer,
    grouped: dict[str, Any],
    statements: list[str],
    name: str,
    tokens: tuple[dict[str, Any] | None, dict[str, Any] | None],
    requests: list[tuple[str, tuple[str, tuple[list[Any], list[Any]]], Pair]],
):
    """Identity claims are attributes, access claims `context.token`, groups of both parents."""
    identity, access = tokens
    store, ids = asked.store(*statements, mode="STRICT", schema=grouped)
    asked(
        "CreateIdentitySource",
        policyStoreId=store,
        principalEntityType="Shop::User",
        configuration={
            "cognitoUserPoolConfiguration": {
                "userPoolArn": f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{POOL}",
                "clientIds": ["web"],
                "groupConfiguration": {"groupEntityType": "Shop::Group"},
            }
        },
    )
    given_tokens: dict[str, str] = {}
    if identity is not None:
        given_tokens["identityToken"] = pool.identity_token(sub=name, **identity)
    if access is not None:
        given_tokens["accessToken"] = pool.access_token(sub=name, **access)
    groups = {group for claims in tokens if claims for group in claims.get("cognito:groups", [])}
    user = _user(name, identity or {}, groups)
    for action, (item, (typed, plain)), (context, context_by_hand) in requests:
        answer = asked(
            "IsAuthorizedWithToken",
            policyStoreId=store,
            action={"actionType": "Shop::Action", "actionId": action},
            resource={"entityType": "Shop::Item", "entityId": item},
            entities={"entityList": typed},
            context={"contextMap": context},
            **given_tokens,
        )
        carried: dict[str, Any] = {}
        if access is not None:
            scopes = {"scope": access["scope"].split()} if "scope" in access else {}
            carried["token"] = {"client_id": "web", **scopes}
        by_hand = _by_hand(
            statements,
            name=name,
            action=action,
            item=item,
            context={**context_by_hand, **carried},
            entities=[*plain, user],
        )
        assert answer["principal"] == {"entityType": "Shop::User", "entityId": f"{POOL}|{name}"}
        assert_same(answer, by_hand, statements, ids, forbid_errors="deny")
    asked("DeletePolicyStore", policyStoreId=store)
