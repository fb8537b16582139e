"""For any request the endpoint decides as Cedar does on the request written by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.infra.local.verified_permissions.assertions import assert_same
from tests.infra.local.verified_permissions.strategies import (
    CONDITIONS,
    MEMBERS,
    RECENT,
    STATEMENTS,
    UIDS,
    Pair,
    worlds,
)

if TYPE_CHECKING:
    from .conftest import Ask


@pytest.fixture(scope="module")
def askers() -> dict[str, Any]:
    """One endpoint for each way to treat failing forbids, made at first use."""
    return {}


@pytest.mark.soak
@RECENT
@given(
    st.lists(STATEMENTS, min_size=1, max_size=5),
    worlds(),
    UIDS,
    UIDS,
    MEMBERS,
    st.sampled_from(["deny", "skip"]),
    st.booleans(),
)
def test_a_decision_is_cedars_own(  # noqa: PLR0917 - pytest passes by name
    ask: type[Ask],
    askers: dict[str, Any],
    statements: list[str],
    world: tuple[list[Any], list[Any]],
    principal: tuple[str, str],
    resource: tuple[str, str],
    context: dict[str, Pair],
    forbid_errors: str,
    written: bool,
):
    """Decision, deciding and failing policies equal cedarpy's; no ALLOW beside a failed forbid."""
    asked: Ask = askers.setdefault(forbid_errors, None) or ask(forbid_errors=forbid_errors)
    askers[forbid_errors] = asked
    typed, plain = world
    store, ids = asked.store(*statements)
    answer = asked(
        "IsAuthorized",
        policyStoreId=store,
        principal={"entityType": principal[0], "entityId": principal[1]},
        action={"actionType": "N::Action", "actionId": "do"},
        resource={"entityType": resource[0], "entityId": resource[1]},
        entities={"cedarJson": json.dumps(plain)} if written else {"entityList": typed},
        context={"contextMap": {name: pair[0] for name, pair in context.items()}},
    )
    asked("DeletePolicyStore", policyStoreId=store)
    by_hand = cedarpy.is_authorized(
        {
            "principal": {"type": principal[0], "id": principal[1]},
            "action": {"type": "N::Action", "id": "do"},
            "resource": {"type": resource[0], "id": resource[1]},
            "context": {name: pair[1] for name, pair in context.items()},
        },
        "\n".join(statements),
        plain,
    )
    assert_same(answer, by_hand, statements, ids, forbid_errors=forbid_errors)


@settings(RECENT, max_examples=12)
@given(
    st.lists(STATEMENTS, min_size=20, max_size=60),
    st.lists(st.tuples(worlds(), UIDS, UIDS), min_size=10, max_size=20),
)
def test_many_requests_are_each_decided_by_all_policies(
    ask: type[Ask],
    askers: dict[str, Any],
    statements: list[str],
    requests: list[tuple[tuple[list[Any], list[Any]], tuple[str, str], tuple[str, str]]],
):
    """What is kept of a store between requests of different people changes no answer."""
    asked: Ask = askers.setdefault("skip", None) or ask(forbid_errors="skip")
    askers["skip"] = asked
    store, ids = asked.store(*statements)
    action = {"type": "N::Action", "id": "do"}
    for (typed, plain), principal, resource in requests:
        answer = asked(
            "IsAuthorized",
            policyStoreId=store,
            principal={"entityType": principal[0], "entityId": principal[1]},
            action={"actionType": "N::Action", "actionId": "do"},
            resource={"entityType": resource[0], "entityId": resource[1]},
            entities={"entityList": typed},
        )
        by_hand = cedarpy.is_authorized(
            {
                "principal": {"type": principal[0], "id": principal[1]},
                "action": action,
                "resource": {"type": resource[0], "id": resource[1]},
                "context": {},
            },
            "\n".join(statements),
            plain,
        )
        assert_same(answer, by_hand, statements, ids, forbid_errors="skip")
    asked("DeletePolicyStore", policyStoreId=store)


@pytest.mark.soak
@RECENT
@given(
    UIDS,
    UIDS,
    UIDS,
    UIDS,
    st.sampled_from(["==", "in"]),
    st.sampled_from(["==", "in", "is N::U in"]),
    CONDITIONS,
)
def test_a_link_is_what_cedar_links(  # noqa: PLR0917 - pytest passes by name
    ask: type[Ask],
    askers: dict[str, Any],
    principal: tuple[str, str],
    resource: tuple[str, str],
    asking: tuple[str, str],
    about: tuple[str, str],
    on_principal: str,
    on_resource: str,
    condition: str,
):
    """A template written out as text decides as Cedar's own `with_linked` on the same template."""
    asked: Ask = askers.setdefault("skip", None) or ask(forbid_errors="skip")
    askers["skip"] = asked
    text = (
        f"permit(principal {on_principal} ?principal, action, "
        f"{'resource ' + on_resource if on_resource != 'is' else 'resource'} ?resource) "
        f"{condition};"
    )
    store, _ = asked.store()
    template = asked("CreatePolicyTemplate", policyStoreId=store, statement=text)[
        "policyTemplateId"
    ]
    typed = [
        {"entityType": kind, "entityId": name}
        for kind, name in (principal, resource, asking, about)
    ]
    asked(
        "CreatePolicy",
        policyStoreId=store,
        definition={
            "templateLinked": {
                "policyTemplateId": template,
                "principal": typed[0],
                "resource": typed[1],
            }
        },
    )
    answer = asked(
        "IsAuthorized",
        policyStoreId=store,
        principal=typed[2],
        action={"actionType": "N::Action", "actionId": "do"},
        resource=typed[3],
    )
    asked("DeletePolicyStore", policyStoreId=store)
    slots = {
        "?principal": {"type": principal[0], "id": principal[1]},
        "?resource": {"type": resource[0], "id": resource[1]},
    }
    by_hand = cedarpy.is_authorized(
        {
            "principal": {"type": asking[0], "id": asking[1]},
            "action": {"type": "N::Action", "id": "do"},
            "resource": {"type": about[0], "id": about[1]},
            "context": {},
        },
        cedarpy.PolicySet.from_str(text).with_linked("policy0", "link", slots),
        [],
    )
    assert answer["decision"] == ("ALLOW" if by_hand.allowed else "DENY")
    assert len(answer["errors"]) == len(by_hand.diagnostics.errors)
