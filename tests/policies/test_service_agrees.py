"""What the service asks is what the cases ask: its entities, context and permissions fit the policies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.policies import fleet
from infra.policies.cases import Case, read
from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.decision import Allowed
from service.cedar.entities import Entity, tenant_entity
from service.cedar.request import AuthorizationRequest, RequestContext
from service.cedar.values import EntityUid
from service.domain.artifacts import Artifact
from service.domain.devices import Device
from service.domain.groups import DeviceGroup
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.permissions import Permission
from service.domain.tenants import Tenant, TenantStatus
from service.errors import ConflictError

POLICIES = Path(__file__).parents[2] / "policies"
GRANTED = {grant.id for grant in fleet.GRANTS}
# The service's twin reads the base policies: cases that rest on a grant or on a tenant's own policy are beyond it.
BEYOND_THE_CLOCK = "policies/cases/DENY/window-offset-absurd.json"  # the service does not even ask
CASES = [
    case
    for case in read(POLICIES)
    if not case.tenant_policies
    and not GRANTED & set(case.expected.policies)
    and case.file != BEYOND_THE_CLOCK
    and case.question.target.known  # a device that the registry does not have is 404
]
TENANT = Tenant(
    id=fleet.TENANT_ID,
    issuer=f"https://cognito-idp.eu-central-1.amazonaws.com/{fleet.POOL_ID}",
    status=TenantStatus.ACTIVE,
    region="eu-central-1",
    account_id="123456789012",
    jwks_uri="https://example.invalid/jwks.json",
    sign_in_url="https://example.invalid",
    client_ids=frozenset({"client"}),
    policy_store_id="store",
    policy_names={},
    role_arn="arn:aws:iam::123456789012:role/x",
    thing_group=fleet.TENANT_ID,
    bucket="bucket",
    presign_role_arn="arn:aws:iam::123456789012:role/y",
    commands={},
)


@pytest.fixture(scope="module")
def authorizer() -> CedarAuthorizer:
    """The service's authorizer, on the project's files."""
    return CedarAuthorizer(POLICIES)


@pytest.mark.parametrize(
    "case", CASES, ids=[case.file.removeprefix("policies/cases/") for case in CASES]
)
def test_service_decides_as_the_case_says(authorizer: CedarAuthorizer, case: Case):
    """The request, built from the service's own types, is decided alike, by the same policies."""
    decision = asyncio.run(authorizer.decide(principal(case), question(case)))
    assert isinstance(decision, Allowed) is case.expected.allowed
    assert decision.policies == case.expected.policies


def test_service_does_not_ask_with_an_absurd_offset():
    """The policies would deny it; the service refuses before, since the stored attribute is not of its form."""
    (case,) = (case for case in read(POLICIES) if case.file == BEYOND_THE_CLOCK)
    with pytest.raises(ConflictError, match="unreadable attribute `utc_offset`"):
        question(case)


def test_enough_cases_are_compared():
    """Both decisions and every kind of target are among the compared cases."""
    assert len(CASES) >= 50
    assert {case.question.target.kind for case in CASES} == {"tenant", "group", "device"}
    assert {case.expected.allowed for case in CASES} == {True, False}


def principal(case: Case) -> Principal:
    """The caller as the service knows one after verifying the token."""
    who = case.question.who
    machine = who.scopes is not None
    claims = {"custom:region": who.region} if who.region else {}
    if who.scopes is not None:
        claims = {"scope": " ".join(who.scopes)}
    return Principal(
        tenant=TENANT,
        subject=who.user,
        token_use=TokenUse.ACCESS if machine else TokenUse.ID,
        groups=who.groups,
        email=None,
        client_id=(who.client or who.user) if machine else "client",
        expires_at=0,
        claims=VerifiedClaims(claims),
        token="",
    )


def question(case: Case) -> AuthorizationRequest:
    """The request as the service puts it to the authorizer."""
    about = case.question.circumstances
    file = None
    if about.artifact is not None:
        name = "firmware/a.bin" if about.artifact.kind == "firmware" else "a.bin"
        file = Artifact(
            tenant=about.artifact.tenant or TENANT.id,
            name=name,
            size=about.artifact.size,
            sha256=None,
            etag='""',
        )
    return AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", principal(case).entity_id),
        action=Permission(case.question.action),
        entities=target(case),
        context=RequestContext(
            now=about.now,
            emergency=about.emergency,
            reason=about.reason,
            members_allowed=about.members_allowed,
            artifact=file.entity() if file else None,
        ),
    )


def target(case: Case) -> tuple[Entity, ...]:
    """The resource with its entities, made by the service's own types."""
    asked = case.question.target
    owner = asked.tenant or TENANT.id
    if asked.kind == "tenant":
        return (tenant_entity(owner),)
    if asked.kind == "group":
        return DeviceGroup(tenant=owner, id=asked.id).entities()
    device = Device(tenant=owner, id=asked.id, groups=asked.groups, attributes=asked.attributes)
    return device.entities()
