"""A copy decides as the store does, whatever the policies, the token, the facts and the time.

The store is the one of the embedded cloud, called in process: it verifies the token itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.memory.metrics import MemoryMetrics
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.decision import Decider, Evaluation
from service.cedar.policy_set import Link, PolicySet
from service.cedar.request import AuthorizationRequest, RequestContext
from service.cedar.values import EntityUid
from service.domain.devices import Device
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.instants import now_in_utc
from service.domain.permissions import Permission
from service.operations.decisions import Decisions, differ
from service.operations.policy_copies import PolicyCopies
from service.operations.revocations import Revocations
from service.settings import PolicySettings
from tests.infra.local.verified_permissions.conftest import ACCOUNT, REGION, Ask
from tests.infra.local.verified_permissions.issuer import Issuer
from tests.service.operations.policies import Policies
from tests.service.stamped_policies import only

if TYPE_CHECKING:
    from service.cedar.decision import Decision

ACME: Final = MemoryUserPool("acme", groups={"line": (), "cell": ("line",)}).tenant
POOL: Final = f"userpool/{ACME.pool_id}"
MACHINE: Final = "machine"
GROUPS: Final = ("managers", "operators", "night|shift")
PRINCIPALS: Final = (
    "principal",
    "principal is Fleet::User",
    f'principal == Fleet::User::"{ACME.pool_id}|boss"',
    *(f'principal in Fleet::Group::"{ACME.pool_id}|{group}"' for group in GROUPS),
)
ACTIONS: Final = (
    'action in Fleet::Action::"View"',
    'action == Fleet::Action::"ViewDevice"',
    'action in [Fleet::Action::"ViewCommand", Fleet::Action::"OperateDevice"]',
)
RESOURCES: Final = (
    "resource",
    "resource is Fleet::Device",
    'resource is Fleet::Device in Fleet::DeviceGroup::"line"',
    'resource in Fleet::DeviceGroup::"cell"',
    'resource == Fleet::Device::"press-07"',
    'resource in Fleet::Tenant::"acme"',
)
CONDITIONS: Final = (
    "true",
    'principal has email && principal.email like "*@acme.example"',
    (
        'principal has "custom:region" && resource is Fleet::Device && resource has region'
        ' && principal["custom:region"] == resource.region'
    ),
    'resource is Fleet::Device && resource has kind && resource.kind == "press"',
    'resource is Fleet::Device && resource.hasTag("b") && resource.getTag("b") == "7"',
    'context has now && context.now.toTime() < duration("12h")',
    (
        "context has now && resource is Fleet::Device && resource has utc_offset"
        ' && context.now.offset(resource.utc_offset).toTime() >= duration("22h")'
    ),
    'context has source_ip && context.source_ip.isInRange(ip("10.0.0.0/8"))',
    'context has token && context.token has scope && context.token.scope.contains("fleet/view")',
    (
        "context has token && context.token has sub && context.token has client_id"
        " && context.token.sub == context.token.client_id"
    ),
    "9223372036854775807 + 1 == 0",  # fails whenever it is evaluated
)
TEMPLATE: Final = """permit (
  principal in ?principal, action in Fleet::Action::"View", resource in ?resource
)"""
STATEMENTS: Final = st.builds(
    "{} ({}, {}, {}) when {{ {} }};".format,
    st.sampled_from(["permit", "permit", "forbid"]),
    *(st.sampled_from(parts) for parts in (PRINCIPALS, ACTIONS, RESOURCES, CONDITIONS)),
)
LINKS: Final = st.tuples(
    st.sampled_from([("Group", group) for group in GROUPS] + [("User", "boss")]),
    st.sampled_from([("DeviceGroup", "line"), ("Device", "press-07"), ("Tenant", "acme")]),
)
CLAIMS: Final = st.fixed_dictionaries(
    {"cognito:groups": st.lists(st.sampled_from(GROUPS), unique=True)},
    optional={
        "email": st.sampled_from(["kim@acme.example", "", '"\\']),
        "custom:region": st.sampled_from(["eu-north", "us-east"]),
        "custom:unknown": st.just("of no schema"),
        "email_verified": st.booleans(),
        "auth_time": st.integers(0, 2**40),
    },
)
SCOPES: Final = st.lists(st.sampled_from(["fleet/view", "fleet/operate"]), unique=True)
DEVICES: Final = st.builds(
    Device,
    tenant=st.just("acme"),
    id=st.sampled_from(["press-07", "pump-1"]),
    groups=st.lists(st.sampled_from(["line", "cell"]), unique=True).map(tuple),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "kind": st.sampled_from(["press", "pump"]),
            "region": st.sampled_from(["eu-north", "us-east"]),
            "utc_offset": st.sampled_from(["+02:00", "-11:30"]),
        },
    ),
    tags=st.dictionaries(st.just("b"), st.sampled_from(["7", "8"])),
)
MOMENTS: Final = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
QUESTIONS: Final = st.tuples(
    st.one_of(CLAIMS, SCOPES.map(" ".join)),
    DEVICES,
    st.sampled_from([Permission.VIEW_DEVICE, Permission.VIEW_COMMAND]),
    MOMENTS,
    st.sampled_from([None, "10.1.2.3", "::1"]),
)


@cache
def issuer() -> Issuer:
    """Acme's user pool."""
    return Issuer(ACME.issuer)


@cache
def endpoint() -> Ask:
    """The embedded cloud's Verified Permissions, which knows the pool's keys."""
    return Ask(keys={ACME.issuer: issuer().jwks()})


@dataclass(frozen=True)
class Store:
    """A policy store, and what it holds by its own ids."""

    id: str
    policies: PolicySet

    @classmethod
    def of(cls, statements: list[str], links: list[tuple[Any, Any]]) -> Store:
        """A STRICT store with these policies, that trusts acme's pool."""
        ask, empty = endpoint(), only(ACME)
        made = ask("CreatePolicyStore", validationSettings={"mode": "STRICT"})["policyStoreId"]
        ask("PutSchema", policyStoreId=made, definition={"cedarJson": empty.schema})

        def create(definition: dict[str, Any]) -> str:
            return ask("CreatePolicy", policyStoreId=made, definition=definition)["policyId"]

        template = ask("CreatePolicyTemplate", policyStoreId=made, statement=f"{TEMPLATE};")
        filled: list[Link] = []
        for (who, name), (what, thing) in links:
            prefix = f"{ACME.pool_id}|"
            ends = EntityUid(f"Fleet::{who}", prefix + name), EntityUid(f"Fleet::{what}", thing)
            blanks = {
                part: {"entityType": uid.type, "entityId": uid.id}
                for part, uid in zip(("principal", "resource"), ends, strict=True)
            }
            known = template["policyTemplateId"]
            policy = create({"templateLinked": {"policyTemplateId": known, **blanks}})
            filled.append(Link(id=policy, template=known, principal=ends[0], resource=ends[1]))
        ask(
            "CreateIdentitySource",
            policyStoreId=made,
            principalEntityType="Fleet::User",
            configuration={
                "cognitoUserPoolConfiguration": {
                    "userPoolArn": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:{POOL}",
                    "clientIds": ["app", MACHINE],
                    "groupConfiguration": {"groupEntityType": "Fleet::Group"},
                }
            },
        )
        return cls(
            made,
            PolicySet(
                schema=empty.schema,
                static={create({"static": {"statement": text}}): text for text in statements},
                templates={template["policyTemplateId"]: f"{TEMPLATE};"},
                links=tuple(filled),
            ),
        )

    def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """What the store says to the token."""
        kind = "identityToken" if principal.token_use is TokenUse.ID else "accessToken"
        entities = json.dumps([entity.json() for entity in request.entities])
        answer = endpoint()(
            "IsAuthorizedWithToken",
            policyStoreId=self.id,
            action={"actionType": "Fleet::Action", "actionId": request.action},
            resource={"entityType": request.resource.type, "entityId": request.resource.id},
            context={"cedarJson": json.dumps(request.json()["context"])},
            entities={"cedarJson": entities},
            **{kind: principal.token},
        )
        return Evaluation(
            engine_allows=answer["decision"] == "ALLOW",
            policies=tuple(sorted(one["policyId"] for one in answer["determiningPolicies"])),
            errors=tuple(one["errorDescription"] for one in answer["errors"]),
        ).decision


def caller(said: dict[str, Any] | str) -> Principal:
    """A person with these claims, or a machine with these scopes."""
    machine = isinstance(said, str)
    use = TokenUse.ACCESS if machine else TokenUse.ID
    ours: dict[str, Any] = {
        "sub": MACHINE if machine else "boss",
        "token_use": str(use),
        "exp": int(time.time()) + 3600,
        **(
            {"scope": said, "client_id": MACHINE}
            if isinstance(said, str)
            else {"aud": "app", **said}
        ),
    }
    token = issuer().sign(**ours)
    return Principal(
        tenant=ACME,
        subject=ours["sub"],
        token_use=use,
        groups=tuple(ours.get("cognito:groups", ())),
        email=None,
        client_id=MACHINE if machine else "app",
        expires_at=ours["exp"],
        claims=VerifiedClaims(ours),
        token=token,
    )


@settings(max_examples=15)
@given(
    st.lists(STATEMENTS, min_size=1, max_size=6),
    st.lists(LINKS, max_size=2),
    st.lists(QUESTIONS, min_size=4, max_size=8),
)
def test_a_copy_decides_as_its_store(
    statements: list[str], links: list[tuple[Any, Any]], questions: list[tuple[Any, ...]]
) -> None:
    """The same answer for the same reason by the same policies, and nothing left to the store."""
    store = Store.of(statements, links)
    stores = MemoryPolicyStores()
    stores.stamp(ACME, store.policies)
    revocations = Revocations(MemoryRevocations(), now_in_utc)
    copies = PolicyCopies(stores, PolicySettings(), MemoryMetrics(), revocations)
    decisions = Decisions(Policies([]), copies, MemoryMetrics(), revocations, sample=0)

    async def differences() -> list[object]:
        assert await decisions.prepare(ACME)
        found: list[object] = []
        for said, device, action, now, address in questions:
            who = caller(said)
            request = AuthorizationRequest.of(
                principal=EntityUid("Fleet::User", who.entity_id),
                action=action,
                entities=device.entities(ACME.groups),
                context=RequestContext(now=now, source_ip=ip_address(address) if address else None),
            )
            ours, theirs = await decisions.decide(who, request), store.decide(who, request)
            if differ(ours, theirs) or ours.by is not Decider.COPY:
                found.append((said, device, action, now, address, ours, theirs))
        return found

    assert asyncio.run(differences()) == []
    endpoint()("DeletePolicyStore", policyStoreId=store.id)
