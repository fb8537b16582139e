"""Any body at all is answered in order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.local.verified_permissions.strategies import NAMES, RECENT

if TYPE_CHECKING:
    from .conftest import Ask

Json = Any  # what travels, before anybody has looked at it

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
MEMBER_NAMES = st.sampled_from(
    [
        "policyStoreId",
        "principal",
        "action",
        "resource",
        "context",
        "entities",
        "requests",
        "definition",
        "statement",
    ]
)


@pytest.fixture(scope="module")
def asked(ask: type[Ask]) -> Ask:
    """One endpoint for all bodies."""
    return ask()


@pytest.mark.soak
@RECENT
@given(
    st.sampled_from(
        [
            "IsAuthorized",
            "BatchIsAuthorized",
            "CreatePolicy",
            "PutSchema",
            "ListPolicies",
            "TagResource",
        ]
    ),
    st.one_of(JSON, st.dictionaries(MEMBER_NAMES, JSON)),
)
def test_no_body_makes_the_endpoint_fail(asked: Ask, operation: str, body: Json):
    """Any JSON at all is answered, by a client error; never by status 500."""
    headers = {
        "x-amz-target": f"VerifiedPermissions.{operation}",
        "authorization": "Credential=AKIA/20261122/eu-central-1/verifiedpermissions/aws4_request",
    }
    status, answer = asked.app.answer(headers, json.dumps(body).encode())
    assert 400 <= status < 500, answer
