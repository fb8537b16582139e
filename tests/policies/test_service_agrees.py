"""What the service asks is what the cases ask: its entities, context and permissions fit them."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from infra.policies import load
from infra.policies.cases.cases import Case, case_policies, read
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID
from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.entities import DEVICE, DEVICE_GROUP, GROUP, ROOT_GROUP, tenant_entity
from service.cedar.request import AuthorizationRequest, RequestContext
from service.domain.artifacts import Artifact
from service.domain.devices import Device
from service.domain.groups import DeviceGroup
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.permissions import Permission
from service.domain.tenants import Tenant, TenantStatus
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.entities import Entity
    from service.cedar.values import EntityUid, Value

POLICIES = Path(__file__).parents[2] / "policies"
BY_NAME = {case.file.removeprefix("policies/cases/"): case for case in read(POLICIES)}
# What the service refuses before it asks: the policies deny it too.
ABSURD = BY_NAME.pop("DENY/window-offset-absurd.json")
UNKNOWN = BY_NAME.pop("DENY/manager-of-unknown-device.json")
CASES = list(BY_NAME.values())
TENANT = Tenant(
    id=TENANT_ID,
    issuer=f"https://cognito-idp.eu-central-1.amazonaws.com/{POOL_ID}",
    status=TenantStatus.ACTIVE,
    region="eu-central-1",
    account_id="123456789012",
    jwks_uri="https://example.invalid/jwks.json",
    sign_in_url="https://example.invalid",
    client_ids=frozenset({"client"}),
    policy_store_id="store",
    policy_names={},
    role_arn="arn:aws:iam::123456789012:role/x",
    thing_group=TENANT_ID,
    bucket="bucket",
    presign_role_arn="arn:aws:iam::123456789012:role/y",
    commands={},
    groups={},
)


@cache
def authorizer(tenant_policies: str | None) -> CedarAuthorizer:
    """The service's authorizer, with the base, the fleet's grants and a tenant's own policies."""
    bundle = load(POLICIES, case_policies(POLICIES, tenant_policies))
    return CedarAuthorizer(POLICIES, {TENANT_ID: bundle.policy_set})


@pytest.mark.parametrize("case", CASES, ids=list(BY_NAME))
def test_service_asks_as_the_case_says(case: Case):
    """The service's own types make the request of the case: same context and same entities."""
    asked, wanted = request(case), case.request
    assert (asked.action, asked.resource) == (wanted.action, wanted.resource)
    context = {name: value for name, value in wanted.context.items() if name != "token"}
    assert asked.context == context
    given = {entity.uid: entity for entity in wanted.entities}
    for entity in asked.entities:
        assert entity == given[entity.uid]


@pytest.mark.parametrize("case", CASES, ids=list(BY_NAME))
def test_service_decides_as_the_case_says(case: Case):
    """The request, built from the service's own types, is decided alike, by the same policies."""
    decide = authorizer(case.tenant_policies).decide(principal(case), request(case))
    assert asyncio.run(decide) == case.expected.decision


def test_service_does_not_ask_with_an_absurd_offset():
    """The policies would deny it; the service refuses before, since the fact is not of its form."""
    with pytest.raises(ConflictError, match="unreadable attribute `utc_offset`"):
        request(ABSURD)


def test_only_an_unknown_device_is_not_asked_about():
    """The one case without its resource is of a device that the service answers with 404."""
    without = [case for case in (*CASES, ABSURD, UNKNOWN) if resource(case) is None]
    assert without == [UNKNOWN]
    assert UNKNOWN.request.resource.type == DEVICE


def test_enough_cases_are_compared():
    """Both decisions, every kind of resource, grants and tenants' own policies are compared."""
    assert len(CASES) == len(list(POLICIES.glob("cases/*/*.json"))) - 2
    assert len({case.request.resource.type for case in CASES}) == 3
    assert {case.expected.allowed for case in CASES} == {True, False}
    assert {case.tenant_policies for case in CASES} == {None, "acme", "globex"}


def resource(case: Case) -> Entity | None:
    """The case's entity of its resource."""
    return entity_of(case, case.request.resource)


def entity_of(case: Case, uid: EntityUid) -> Entity | None:
    """One entity of the case."""
    return {entity.uid: entity for entity in case.request.entities}.get(uid)


def principal(case: Case) -> Principal:
    """The caller as the service knows one after verifying the token."""
    person = entity_of(case, case.request.principal)
    assert person is not None
    token = cast("Mapping[str, Value] | None", case.request.context.get("token"))
    claims = {name: str(value) for name, value in person.attributes.items()}
    if token is not None:
        claims = {"scope": " ".join(cast("tuple[str, ...]", token["scope"]))}
    prefix = f"{POOL_ID}|"
    return Principal(
        tenant=TENANT,
        subject=person.uid.id.removeprefix(prefix),
        token_use=TokenUse.ACCESS if token is not None else TokenUse.ID,
        groups=tuple(one.id.removeprefix(prefix) for one in person.parents if one.type == GROUP),
        email=None,
        client_id=str(token["client_id"]) if token is not None else "client",
        expires_at=0,
        claims=VerifiedClaims(claims),
        token="",
    )


def request(case: Case) -> AuthorizationRequest:
    """The request as the service puts it to the authorizer."""
    about = case.request.context
    return AuthorizationRequest.of(
        principal=case.request.principal,
        action=Permission(case.request.action),
        entities=entities(case),
        context=RequestContext(
            now=cast("datetime", about["now"]),
            emergency=about["emergency"] is True,
            via=cast("str | None", about.get("via")),
            reason=cast("str | None", about.get("reason")),
            members_allowed=cast("bool | None", about.get("members_allowed")),
            changed_tags=cast("tuple[str, ...] | None", about.get("changed_tags")),
            command=cast("str | None", about.get("command")),
            command_action=cast("str | None", about.get("command_action")),
            people_groups=cast("tuple[str, ...] | None", about.get("people_groups")),
            machine_scopes=cast("tuple[str, ...] | None", about.get("machine_scopes")),
            template=cast("str | None", about.get("template")),
            holds_all=cast("bool | None", about.get("holds_all")),
            to_self=cast("bool | None", about.get("to_self")),
            artifact=artifact(case),
            planned=cast("bool | None", about.get("planned")),
            approved=cast("bool | None", about.get("approved")),
            approver_groups=cast("tuple[str, ...] | None", about.get("approver_groups")),
            targets=cast("int | None", about.get("targets")),
            requester=cast("EntityUid | None", about.get("requester")),
        ),
    )


def artifact(case: Case) -> Entity | None:
    """The file to deliver, made by the service's own type."""
    uid = cast("EntityUid | None", case.request.context.get("artifact"))
    file = entity_of(case, uid) if uid is not None else None
    if file is None:
        return None
    return Artifact(
        tenant=cast("EntityUid", file.attributes["tenant"]).id,
        name=file.uid.id,
        size=cast("int", file.attributes["size"]),
        sha256=None,
        etag='""',
    ).entity()


def entities(case: Case) -> tuple[Entity, ...]:
    """The resource with its ancestors, made by the service's own types."""
    asked = resource(case)
    assert asked is not None
    if asked.uid.type not in (DEVICE, DEVICE_GROUP):
        return (tenant_entity(asked.uid.id),)
    owner = cast("EntityUid", asked.attributes["tenant"]).id
    if asked.uid.type == DEVICE_GROUP:
        return DeviceGroup(tenant=owner, id=asked.uid.id).entities({})
    groups = tuple(parent.id for parent in asked.parents if parent.id != ROOT_GROUP)
    facts = device_facts(asked.attributes)
    device = Device(tenant=owner, id=asked.uid.id, groups=groups, attributes=facts, tags=asked.tags)
    return device.entities(dict.fromkeys(groups, ()))


def device_facts(attributes: Mapping[str, Value]) -> dict[str, str]:
    """The facts as IoT Core stores them: the inverse of the service's reader."""
    facts = {name: text for name, text in attributes.items() if isinstance(text, str)}
    if isinstance(offset := attributes.get("utc_offset"), timedelta):
        sign = "-" if offset < timedelta() else "+"
        facts["utc_offset"] = f"{sign}{clock(abs(offset))}"
    if "window_start" in attributes:
        edges = (attributes["window_start"], attributes["window_end"])
        facts["window"] = "-".join(clock(cast("timedelta", edge)) for edge in edges)
    if isinstance(patched := attributes.get("security_patch"), datetime):
        facts["security_patch"] = f"{patched:%Y-%m-%d}"
    return facts


def clock(duration: timedelta) -> str:
    """``22:00``."""
    minutes = duration // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"
