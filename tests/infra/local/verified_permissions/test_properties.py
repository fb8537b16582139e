"""What must hold for any request: the endpoint decides as Cedar does on the same request written by hand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import cedarpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from .conftest import Ask

Json = Any  # what travels, before anybody has looked at it

# Each strategy draws one thing twice: as the API writes it and as Cedar's JSON writes it.
Pair = tuple[Any, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(["a", "b", "c", "ключ", "with space", 'quote"'])
IDS = st.sampled_from(["one", "two", "three", 'q"uote', "naïve|x", "back\\slash"])
RECENT = settings(
    max_examples=150, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

SCALARS: st.SearchStrategy[Pair] = st.one_of(
    TEXT.map(lambda text: ({"string": text}, text)),
    st.booleans().map(lambda flag: ({"boolean": flag}, flag)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: ({"long": number}, number)),
    st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"]).map(
        lambda text: ({"ipaddr": text}, {"__extn": {"fn": "ip", "arg": text}})
    ),
    st.decimals(-1000, 1000, places=4).map(
        lambda number: ({"decimal": f"{number:.4f}"}, {"__extn": {"fn": "decimal", "arg": f"{number:.4f}"}})
    ),
    st.dates().map(lambda day: ({"datetime": day.isoformat()}, {"__extn": {"fn": "datetime", "arg": day.isoformat()}})),
    st.integers(0, 10**6).map(
        lambda n: ({"duration": f"-{n}s"}, {"__extn": {"fn": "duration", "arg": f"-{n}s"}}),
    ),
    IDS.map(
        lambda name: (
            {"entityIdentifier": {"entityType": "N::U", "entityId": name}},
            {"__entity": {"type": "N::U", "id": name}},
        )
    ),
)


def _set(pairs: list[Pair]) -> Pair:
    return {"set": [typed for typed, _ in pairs]}, [plain for _, plain in pairs]


def _record(pairs: dict[str, Pair]) -> Pair:
    return {"record": {name: pair[0] for name, pair in pairs.items()}}, {name: pair[1] for name, pair in pairs.items()}


VALUES: st.SearchStrategy[Pair] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_set), st.dictionaries(NAMES, inner, max_size=3).map(_record)
    ),
    max_leaves=6,
)
MEMBERS = st.dictionaries(NAMES, VALUES, max_size=4)
UIDS = st.tuples(st.sampled_from(["N::U", "N::G", "N::R"]), IDS)

# Conditions that hold, do not hold or fail, depending on what is drawn.
CONDITIONS = st.sampled_from(
    [
        "",
        "when { principal.a == context.a }",
        "when { resource has a && principal has a && resource.a == principal.a }",
        "unless { principal.b == resource.b }",
        "when { context.a.contains(context.b) }",
        "when { principal.a < 5 }",
        'when { principal in N::G::"one" }',
        'unless { resource in N::G::"two" || context has c }',
        "when { principal.a.b.c }",
        'when { principal.hasTag("a") && principal.getTag("a") == context.a }',
    ]
)


def _literal(uid: tuple[str, str]) -> str:
    return f"{uid[0]}::{json.dumps(uid[1], ensure_ascii=False)}"


def _scope(name: str) -> st.SearchStrategy[str]:
    return st.one_of(
        st.just(name),
        UIDS.map(lambda uid: f"{name} == {_literal(uid)}"),
        UIDS.map(lambda uid: f"{name} in {_literal(uid)}"),
        st.just(f"{name} is N::U"),
        UIDS.map(lambda uid: f"{name} is N::U in {_literal(uid)}"),
    )


STATEMENTS = st.builds(
    lambda effect, principal, resource, condition: f"{effect}({principal}, action, {resource}) {condition};",
    st.sampled_from(["permit", "permit", "forbid"]),
    _scope("principal"),
    _scope("resource"),
    CONDITIONS,
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Entities without cycles, in both forms: parents come later in the list."""
    uids = draw(st.lists(UIDS, unique=True, max_size=6))
    typed: list[Any] = []
    plain: list[Any] = []
    for place, (kind, name) in enumerate(uids):
        parents = (
            draw(st.lists(st.sampled_from(uids[place + 1 :]), unique=True, max_size=2)) if uids[place + 1 :] else []
        )
        attributes, tags = draw(MEMBERS), draw(MEMBERS)
        typed.append(
            {
                "identifier": {"entityType": kind, "entityId": name},
                "attributes": {key: pair[0] for key, pair in attributes.items()},
                "tags": {key: pair[0] for key, pair in tags.items()},
                "parents": [{"entityType": t, "entityId": i} for t, i in parents],
            }
        )
        plain.append(
            {
                "uid": {"type": kind, "id": name},
                "attrs": {key: pair[1] for key, pair in attributes.items()},
                "tags": {key: pair[1] for key, pair in tags.items()},
                "parents": [{"type": t, "id": i} for t, i in parents],
            }
        )
    return typed, plain


@pytest.fixture(scope="module")
def askers() -> dict[str, Any]:
    """One endpoint for each way to treat failing forbids, made at first use."""
    return {}


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
    """Decision, deciding policies and failing policies equal cedarpy's; no ALLOW where a forbid failed."""
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
    named = {f"policy{place}": policy_id for place, policy_id in enumerate(ids)}
    failing = [re.search(r"`policy(\d+)`", text) for text in by_hand.diagnostics.errors]
    failed = {int(match[1]) for match in failing if match}
    errors = sorted(re.sub(r"`(policy\d+)`", lambda m: f"`{named[m[1]]}`", text) for text in by_hand.diagnostics.errors)
    assert sorted(item["errorDescription"] for item in answer["errors"]) == errors
    broken = {ids[place] for place in failed if statements[place].startswith("forbid")}
    determining = {item["policyId"] for item in answer["determiningPolicies"]}
    if by_hand.allowed and broken and forbid_errors == "deny":
        assert (answer["decision"], determining) == ("DENY", broken)
    else:
        assert answer["decision"] == ("ALLOW" if by_hand.allowed else "DENY")
        assert determining == {named[reason] for reason in by_hand.diagnostics.reasons}


@settings(RECENT, max_examples=12)
@given(
    st.lists(STATEMENTS, min_size=20, max_size=60),
    st.lists(st.tuples(worlds(), UIDS, UIDS), min_size=10, max_size=20),
)
def test_many_requests_to_one_store_are_each_decided_by_all_its_policies(
    ask: type[Ask],
    askers: dict[str, Any],
    statements: list[str],
    requests: list[tuple[tuple[list[Any], list[Any]], tuple[str, str], tuple[str, str]]],
):
    """Leaving out policies whose scope cannot match, and keeping such slices, never changes an answer."""
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
        assert answer["decision"] == ("ALLOW" if by_hand.allowed else "DENY")
        determining = {item["policyId"] for item in answer["determiningPolicies"]}
        assert determining == {ids[int(reason.removeprefix("policy"))] for reason in by_hand.diagnostics.reasons}
        assert len(answer["errors"]) == len(by_hand.diagnostics.errors)
    asked("DeletePolicyStore", policyStoreId=store)


@RECENT
@given(UIDS, UIDS, UIDS, UIDS, st.sampled_from(["==", "in"]), st.sampled_from(["==", "in", "is N::U in"]), CONDITIONS)
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
        f"{'resource ' + on_resource if on_resource != 'is' else 'resource'} ?resource) {condition};"
    )
    store, _ = asked.store()
    template = asked("CreatePolicyTemplate", policyStoreId=store, statement=text)["policyTemplateId"]
    typed = [{"entityType": kind, "entityId": name} for kind, name in (principal, resource, asking, about)]
    asked(
        "CreatePolicy",
        policyStoreId=store,
        definition={"templateLinked": {"policyTemplateId": template, "principal": typed[0], "resource": typed[1]}},
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


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
MEMBER_NAMES = st.sampled_from(
    ["policyStoreId", "principal", "action", "resource", "context", "entities", "requests", "definition", "statement"]
)


@RECENT
@given(
    st.sampled_from(["IsAuthorized", "BatchIsAuthorized", "CreatePolicy", "PutSchema", "ListPolicies", "TagResource"]),
    st.one_of(JSON, st.dictionaries(MEMBER_NAMES, JSON)),
)
def test_no_body_makes_the_endpoint_fail(ask: type[Ask], askers: dict[str, Any], operation: str, body: Json):
    """Any JSON at all is answered, by a client error; never by status 500."""
    asked: Ask = askers.setdefault("deny", None) or ask()
    askers["deny"] = asked
    headers = {
        "x-amz-target": f"VerifiedPermissions.{operation}",
        "authorization": "Credential=AKIA/20261122/eu-central-1/verifiedpermissions/aws4_request",
    }
    status, answer = asked.app.answer(headers, json.dumps(body).encode())
    assert 400 <= status < 500, answer
