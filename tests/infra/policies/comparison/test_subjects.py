"""Who is asked about: everybody whom a policy names, and together whom a change may tell apart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.comparison.subjects import Subjects, subjects
from service.cedar.binding import bind, bind_uid
from service.cedar.entities import DEVICE_GROUP, USER
from service.cedar.policy_set import Link, PolicySet
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES = Path(__file__).parents[4] / "policies"
FLEET = ReferenceFleet.read(POLICIES)
SCHEMA = load(POLICIES, TenantPolicies(tenant=TENANT_ID)).schema_json
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
BOTH = """permit (principal, action, resource)
when { principal in Fleet::Group::"a" && principal in Fleet::Group::"b" };"""


def of_group(name: str) -> str:
    """A policy for one group."""
    return f'permit (principal in Fleet::Group::"{name}", action, resource);'


def of_user(name: str) -> str:
    """A policy for one user."""
    return f'permit (principal == Fleet::User::"{name}", action, resource);'


def policies(
    *statements: str, templates: Mapping[str, str] | None = None, links: tuple[Link, ...] = ()
) -> PolicySet:
    """A set, bound to the reference fleet's pool."""
    bound = [bind(text, tenant=TENANT_ID, pool_id=POOL_ID) for text in statements]
    return PolicySet(
        schema=SCHEMA,
        static={f"p{number}": text for number, text in enumerate(bound)},
        templates={
            name: bind(text, tenant=TENANT_ID, pool_id=POOL_ID)
            for name, text in (templates or {}).items()
        },
        links=links,
    )


def asked(*sets: PolicySet, changing: PolicySet) -> Subjects:
    """What the sets give to ask about."""
    return subjects(
        *sets, changing=changing, fleet=FLEET, tenant=TENANT_ID, pool_id=POOL_ID, now=NOW
    )


@pytest.mark.parametrize(
    ("unchanged", "changed", "bearers"),
    [
        ([], of_group("c"), {"c"}),
        (
            [BOTH, of_group("d")],
            of_group("c"),
            {"a", "b", "c", "d", "a + b", "a + c", "b + c", "c + d", "a + b + c"},
        ),
        ([of_group("d")], BOTH, {"a", "b", "d", "a + b", "a + d", "b + d", "a + b + d"}),
        (
            [of_user("kim"), of_group("d")],
            of_user("lee"),
            {"user kim", "user lee", "d", "user lee + d"},
        ),
    ],
    ids=["one", "beside two at once", "two at once", "users"],
)
def test_whom_a_change_tells_apart_is_asked_together(
    unchanged: list[str], changed: str, bearers: set[str]
):
    """With a changed policy's people, and not two of whom no changed policy speaks."""
    found = asked(
        policies(*unchanged), policies(*unchanged, changed), changing=policies(changed)
    ).bearers
    assert set(found) == {"no group", *bearers}


def test_a_grants_person_is_asked_with_the_templates_groups():
    """A template may want a group of whoever it is linked to; its device group is asked about."""
    template = """permit (principal == ?principal, action, resource in ?resource)
when { principal in Fleet::Group::"technicians" };"""
    kim = bind_uid(EntityUid(USER, "kim"), tenant=TENANT_ID, pool_id=POOL_ID)
    link = Link(
        id="kim", template="grant", principal=kim, resource=EntityUid(DEVICE_GROUP, "line-press")
    )
    granted = policies(templates={"grant": template}, links=(link,))
    after = policies(of_group("c"), templates={"grant": template}, links=(link,))
    found = asked(granted, after, changing=policies(of_group("c")))
    alone = {"user kim", "technicians", "user kim + technicians"}
    with_c = {"user kim + c", "c + technicians", "user kim + c + technicians"}
    assert set(found.bearers) == {"no group", "c", *alone, *with_c}
    bearer = found.bearers["user kim + technicians"]
    assert (bearer.subject, bearer.groups) == ("kim", ("technicians",))
    assert "group line-press" in found.resources
