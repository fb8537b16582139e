"""A policy that fails in evaluation: a forbid denies, a permit allows nothing, both listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.infra.local.verified_permissions.shop import ASK

if TYPE_CHECKING:
    from .conftest import Ask

PERMIT = "permit(principal, action, resource);"
BROKEN_FORBID = (
    "forbid(principal, action, resource) unless { principal.tenant == resource.tenant };"
)
BROKEN_PERMIT = "permit(principal, action, resource) when { principal.nothing };"


def test_an_allow_beside_a_broken_forbid_is_a_deny(ask: type[Ask]):
    """Cedar skips a forbid whose condition fails, which allows; here it is a DENY."""
    asked = ask()
    store, (_, forbid) = asked.store(PERMIT, BROKEN_FORBID)
    answer = asked("IsAuthorized", policyStoreId=store, **ASK)
    assert (answer["decision"], answer["determiningPolicies"]) == ("DENY", [{"policyId": forbid}])
    assert answer["errors"][0]["errorDescription"].startswith(
        f"error while evaluating policy `{forbid}`: "
    )


def test_allow_beside_a_broken_forbid_stays_as_on_aws(ask: type[Ask]):
    """With `skip` the answer is Cedar's own: ALLOW, and the error beside it."""
    asked = ask(forbid_errors="skip")
    store, (permit_id, forbid) = asked.store(PERMIT, BROKEN_FORBID)
    answer = asked("IsAuthorized", policyStoreId=store, **ASK)
    assert (answer["decision"], answer["determiningPolicies"]) == (
        "ALLOW",
        [{"policyId": permit_id}],
    )
    assert f"`{forbid}`" in answer["errors"][0]["errorDescription"]


def test_allow_beside_a_broken_permit_is_as_cedar_reports_it(ask: type[Ask]):
    """A permit that fails grants nothing; the other still decides, and the error is listed."""
    asked = ask()
    store, (permit_id, broken) = asked.store(PERMIT, BROKEN_PERMIT)
    answer = asked("IsAuthorized", policyStoreId=store, **ASK)
    assert (answer["decision"], answer["determiningPolicies"]) == (
        "ALLOW",
        [{"policyId": permit_id}],
    )
    assert f"`{broken}`" in answer["errors"][0]["errorDescription"]
