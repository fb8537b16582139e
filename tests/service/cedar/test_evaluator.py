"""Requests are evaluated by the real engine, and what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.policies.files.load import read_schema
from service.cedar.entities import device_entities
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import Link, PolicySet
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.values import EntityUid

POLICIES = Path(__file__).parents[3] / "policies"
NOON = datetime(2026, 11, 22, 11, tzinfo=UTC)
PERMIT = '@id("all") permit (principal in Fleet::Group::"staff", action, resource);'
SET = PolicySet(schema=read_schema(POLICIES), static={"all": PERMIT}, templates={}, links=())
BOUND = SET.bound(tenant="acme", pool_id="pool")


def asked(*groups: str, action: str = "ViewDevice", kind: str = "press") -> AuthorizationRequest:
    """A request of somebody in the groups."""
    bearer = TokenBearer(groups=groups)
    return AuthorizationRequest.of(
        principal=bearer.uid("pool"),
        action=action,
        entities=device_entities(
            "d", tenant="acme", groups=(), parents={}, attributes={"kind": kind}
        ),
        context=RequestContext(now=NOON),
    ).with_bearer(bearer, pool_id="pool")


def test_schema_may_be_json_or_text() -> None:
    """Both forms of the schema decide alike."""
    text = (POLICIES / "schema.cedarschema").read_text(encoding="utf-8")
    for schema in (BOUND.schema, text):
        evaluator = Evaluator(replace(BOUND, schema=schema))
        assert evaluator.evaluate(asked("staff")).policies == ("all",)
        assert not evaluator.evaluate(asked()).allowed


def test_link_may_be_named_like_its_template() -> None:
    """A link decides under its own name."""
    template = "permit (principal == ?principal, action, resource == ?resource);"
    link = Link(
        id="lend",
        template="lend",
        principal=EntityUid("Fleet::User", "someone"),
        resource=EntityUid("Fleet::Device", "d"),
    )
    policies = replace(SET, static={}, templates={"lend": template}, links=(link,))
    evaluator = Evaluator(policies.bound(tenant="acme", pool_id="pool"))
    assert evaluator.evaluate(asked()).policies == ("lend",)


def test_policy_that_does_not_parse_is_named() -> None:
    """Also one that holds two statements: only one of them would decide."""
    for text in ("permit (", PERMIT + PERMIT):
        with pytest.raises(ValueError, match="policy `mine`: "):
            Evaluator(replace(BOUND, static={"mine": text}))


def test_request_that_does_not_fit_is_refused() -> None:
    """An action that the schema does not know is an error, not a denial."""
    with pytest.raises(ValueError, match="Explode"):
        Evaluator(BOUND).evaluate(asked("staff", action="Explode"))


def test_requests_that_disagree_are_refused() -> None:
    """Entities are parsed once for several requests: one of two different devices would win."""
    evaluator = Evaluator(BOUND)
    assert len(evaluator.evaluate_all([asked("staff"), asked("staff")])) == 2
    with pytest.raises(ValueError, match=r"two requests disagree about `Fleet::Device::\"d\"`"):
        evaluator.evaluate_all([asked("staff"), asked("staff", kind="pump")])
