"""Policies that were parted by their scopes decide as all of them together do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.policies import load
from infra.policies.cases.cases import Case, case_policies, read
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID
from service.cedar.compiled import CompiledPolicies
from service.cedar.entities import tenant_entity
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import Link
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer, of_bearer
from service.cedar.shared_statements import shared_est
from service.cedar.statement import statement_est
from service.cedar.values import EntityUid
from service.domain.permissions import OF_TENANT, READING
from tests.service.operations.test_decided_alike import (
    ACME,
    DEVICES,
    GROUPS,
    LINKS,
    MOMENTS,
    STATEMENTS,
    TEMPLATE,
)
from tests.service.stamped_policies import only

if TYPE_CHECKING:
    from service.cedar.policy_set import PolicySet
    from service.domain.devices import Device

POLICIES = Path(__file__).parents[3] / "policies"
CASES = [case for case in read(POLICIES) if case.request.action in READING]
NOW = RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC))


@cache
def both(tenant_policies: str | None) -> tuple[CompiledPolicies, Evaluator]:
    """The policies of some cases, parted, and all together."""
    bundle = load(POLICIES, case_policies(POLICIES, tenant_policies))
    policies = bundle.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)
    return CompiledPolicies(policies, actions=READING, few=0), Evaluator(policies)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_cases_are_decided_as_by_all_policies(case: Case) -> None:
    """With the project's policies, templates and a tenant's own."""
    parted, together = both(case.tenant_policies)
    evaluation = parted.evaluate(case.request)
    assert evaluation == together.evaluate(case.request)
    assert evaluation.decision == case.expected.decision


def asked(bearer: TokenBearer, device: Device, action: str, now: datetime) -> AuthorizationRequest:
    """The bearer's question about a device."""
    request = AuthorizationRequest.of(
        principal=bearer.uid(ACME.pool_id),
        action=action,
        entities=device.entities(ACME.groups),
        context=RequestContext(now=now),
    )
    return request.with_bearer(bearer, pool_id=ACME.pool_id)


@settings(max_examples=12)
@given(
    st.lists(STATEMENTS, min_size=1, max_size=12),
    st.lists(LINKS, max_size=4),
    st.lists(st.tuples(st.sets(st.sampled_from(GROUPS)), DEVICES, MOMENTS), min_size=2, max_size=4),
)
def test_parted_policies_decide_as_all_do(
    statements: list[str], links: list[tuple[Any, Any]], questions: list[tuple[Any, ...]]
) -> None:
    """Whatever their scopes say: the same answer, by the same policies, with the same errors."""
    filled = tuple(
        Link(
            id=f"link{number}",
            template="template",
            principal=EntityUid(f"Fleet::{who[0]}", f"{ACME.pool_id}|{who[1]}"),
            resource=EntityUid(f"Fleet::{what[0]}", what[1]),
        )
        for number, (who, what) in enumerate(links)
    )
    static = {f"policy{number}": text for number, text in enumerate(statements)}
    policies = replace(
        only(ACME), static=static, templates={"template": f"{TEMPLATE};"}, links=filled
    )
    parted = CompiledPolicies(policies, actions=READING, few=0)
    whole = CompiledPolicies(policies, actions=READING)
    together = Evaluator(policies)
    for groups, device, now in questions:
        bearer = TokenBearer(subject="boss", groups=tuple(sorted(groups)))
        for action in ("ViewDevice", "ViewDownload"):
            request = asked(bearer, device, action, now)
            expected = together.evaluate(request)
            assert parted.evaluate(request) == whole.evaluate(request) == expected


VIEWS = 'permit (principal in Fleet::Group::"managers", action, resource);'
LOOKS_AT_THE_ACTION = (
    'permit (principal, action, resource) when { action == Fleet::Action::"ViewPeople" };',
    'forbid (principal, action, resource) unless { action in Fleet::Action::"Administer" };',
    'forbid (principal, action == Fleet::Action::"ViewAudit", resource);',
    "permit (principal, action, resource) when { context.emergency };",
    "permit (principal, action, resource) when { context.targets > 3 };",
)


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("statement", LOOKS_AT_THE_ACTION)
def test_questions_put_once_are_each_decided(statement: str, few: int) -> None:
    """Of many actions at once: what each is answered alone, also where a policy parts them."""
    policies = only(ACME, base=VIEWS, extra=statement)
    copy, together = CompiledPolicies(policies, actions=OF_TENANT, few=few), Evaluator(policies)
    for groups in ((), ("managers",)):
        bearer = TokenBearer(subject="boss", groups=groups)
        requests = [
            AuthorizationRequest.of(
                principal=bearer.uid(ACME.pool_id),
                action=action,
                entities=(tenant_entity("acme"),),
                context=replace(NOW, emergency=emergency),
            )
            for emergency in (False, True)
            for action in sorted(OF_TENANT)
        ]
        asked = of_bearer(requests, bearer, pool_id=ACME.pool_id)
        for _ in range(2):  # of unknown form, and of a known one
            assert copy.evaluate_all(asked) == [together.evaluate(request) for request in asked]


def test_what_was_asked_just_now_is_not_asked_again() -> None:
    """Once a request of its form has fitted the schema, one that is alike is the same question."""
    copy = CompiledPolicies(only(ACME, base=VIEWS), actions=OF_TENANT)
    requests = [
        AuthorizationRequest.of(
            principal=EntityUid("Fleet::User", f"{ACME.pool_id}|boss"),
            action="ListDevices",
            entities=(tenant_entity("acme"),),
            context=NOW,
        )
    ] * 2
    asked = of_bearer(
        requests, TokenBearer(subject="boss", groups=("managers",)), pool_id=ACME.pool_id
    )
    first, second = copy.evaluate_all(asked)
    assert first.allowed
    assert second is first


def test_an_action_that_takes_no_such_request_is_refused() -> None:
    """Also if another one, to which the same policies apply, was just asked of."""
    copy = CompiledPolicies(only(ACME), actions=["ListDevices", "ViewDevice"])
    requests = [
        AuthorizationRequest.of(
            principal=EntityUid("Fleet::User", "x"),
            action=action,
            entities=(tenant_entity("acme"),),
            context=NOW,
        )
        for action in ("ListDevices", "ViewDevice")
    ]
    asked = of_bearer(requests, TokenBearer(subject="boss"), pool_id=ACME.pool_id)
    copy.evaluate_all(asked[:1])
    with pytest.raises(ValueError, match="ViewDevice"):
        copy.evaluate_all(asked)


def test_another_action_is_not_decided() -> None:
    """Its forbids may have been left out."""
    for few in (0, 64):
        policies = CompiledPolicies(only(ACME), actions=["ListDevices"], few=few)
        with pytest.raises(ValueError, match="not of `ViewDevice`"):
            policies.evaluate(
                AuthorizationRequest.of(
                    principal=EntityUid("Fleet::User", "x"),
                    action="ViewDevice",
                    entities=(tenant_entity("acme"),),
                    context=NOW,
                )
            )


def with_schema(change: Any) -> PolicySet:
    """No policies under a changed schema."""
    policies = only(ACME)
    schema = json.loads(policies.schema)
    change(schema["Fleet"])
    return replace(policies, schema=json.dumps(schema))


@pytest.mark.parametrize(
    "change",
    [
        lambda fleet: fleet["entityTypes"]["User"]["shape"]["attributes"].update(
            age={"type": "Long", "required": False}
        ),
        lambda fleet: fleet["commonTypes"]["RequestContext"]["attributes"]["token"][
            "attributes"
        ].update(jti={"type": "String", "required": False}),
        lambda fleet: fleet["entityTypes"].pop("User"),
    ],
    ids=["attribute", "token", "user"],
)
def test_a_schema_of_another_release_is_not_used(change: Any) -> None:
    """It has more of a token than is known here: only the store knows what it makes of that."""
    with pytest.raises(ValueError):
        CompiledPolicies(with_schema(change), actions=READING)


def test_what_a_schema_lacks_is_the_stores() -> None:
    """One of an earlier release decides what it knows; for a new action the store is asked."""
    policies = CompiledPolicies(only(ACME), actions=["ListDevices", "ViewTomorrow"])
    request = AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", f"{ACME.pool_id}|boss"),
        action="ListDevices",
        entities=(tenant_entity("acme"),),
        context=NOW,
    )
    request = request.with_bearer(TokenBearer(subject="boss"), pool_id=ACME.pool_id)
    assert not policies.evaluate(request).allowed
    with pytest.raises(ValueError, match="ViewTomorrow"):
        policies.evaluate(replace(request, action="ViewTomorrow"))


@settings(max_examples=40)
@given(st.lists(STATEMENTS, min_size=2, max_size=6))
def test_statements_of_a_kind_are_parsed_as_each(statements: list[str]) -> None:
    """What is parsed once for all that differ in their texts is what each one says."""
    for text in statements:
        assert shared_est(text) == statement_est(text)


ODD = (
    'permit (principal, action, resource) when {{ resource.hasTag("{0}") }};',
    'permit (principal, action, resource) when {{ {{"{0}": 1, "b": "{0}"}} == context }};',
    'permit (principal, action, resource) when {{ resource["{0}"] like "*{0}*" }};',
    '@id("{0}") permit (principal, action, resource) when {{ ["{0}", "x"].contains("x") }};',
    '// like "{0}\npermit (principal == User::"{0}", action, resource); // {0}"',
    'permit (principal, action, resource) when {{ context.a == "{0}\n// no comment" }};',
    'permit (principal, action, resource) when {{ ip("{0}") == ip("10.0.0.1") }};',
    'forbid (principal in ?principal, action in [Action::"{0}", Action::"b"], resource);',
)


@pytest.mark.parametrize("statement", ODD)
@given(word=st.text('ab"\\*/\N{SECTION SIGN}0 \n', max_size=6))
@settings(max_examples=30)
def test_texts_that_are_taken_out_are_put_back(statement: str, word: str) -> None:
    """Wherever a text stands and whatever it says, or the statement is refused as it would be."""
    text = statement.format(word)
    for _ in range(2):
        try:
            expected = statement_est(text)
        except ValueError as error:
            with pytest.raises(ValueError, match=re.escape(str(error))):
                shared_est(text)
        else:
            assert shared_est(text) == expected
