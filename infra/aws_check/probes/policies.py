"""Cedar at Verified Permissions: when a policy decides, and what it makes of Cognito's tokens."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra.aws_check.leftovers import code
from infra.aws_check.rows import answered, unanswered
from infra.aws_check.sandbox import TAG
from infra.local.cloud.limits.table import CEDAR_POLICY
from infra.policies import TenantPolicies, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.aws_check.rows import Outcome
    from infra.aws_check.sandbox import Sandbox

_POLICIES: Final = Path(__file__).parents[3] / "policies"
# Of an access token it decides by the claim that machines are known by.
_PERMIT: Final = """permit(principal, action == Fleet::Action::"ListDevices", resource) when {
  if context has token then context.token has sub && context.token has client_id else true
};"""


def policies(sandbox: Sandbox) -> Mapping[str, Outcome]:
    """Two writes of a store at once, a token decided by them at once, and after the delay."""
    permissions: Any = sandbox.calls.client("verifiedpermissions")
    store = _store(sandbox, permissions)
    pool_arn, client_id, tokens = _person(sandbox)
    outcomes = {"simultaneous-writes": _simultaneous(permissions, store, pool_arn, client_id)}
    at_once = _decision(permissions, store, identityToken=tokens["IdToken"])
    sandbox.waiting.pause(CEDAR_POLICY.figure)
    later = _decision(permissions, store, identityToken=tokens["IdToken"])
    outcomes["cedar-policy"] = answered(
        later == "ALLOW", f"at once {at_once}, after {CEDAR_POLICY.figure:g} s {later}"
    )
    by_access = _decision(permissions, store, accessToken=tokens["AccessToken"])
    outcomes["claims-outside-schema"] = answered(
        (later, by_access) == ("ALLOW", "ALLOW"), f"ID token: {later}; access token: {by_access}"
    )
    return outcomes


def _store(sandbox: Sandbox, permissions: Any) -> str:
    sandbox.calls.reserve(1)
    made = permissions.create_policy_store(
        validationSettings={"mode": "STRICT"}, description=sandbox.tenant, tags={TAG: sandbox.id}
    )
    store = str(made["policyStoreId"])
    sandbox.leftovers.expect(
        f"policy store {store}",
        lambda: permissions.delete_policy_store(policyStoreId=store),
        calls=0,
    )
    schema = load(_POLICIES, TenantPolicies(tenant=sandbox.tenant)).schema_json
    permissions.put_schema(policyStoreId=store, definition={"cedarJson": schema})
    return store


def _person(sandbox: Sandbox) -> tuple[str, str, dict[str, str]]:
    """The ARN of a pool, its client's id, and the tokens of a person of it."""
    cognito: Any = sandbox.calls.client("cognito-idp")
    sandbox.calls.reserve(1)  # it has no name to delete it by before it is made
    pool = cognito.create_user_pool(
        PoolName=sandbox.tenant,
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
        UserPoolTags={TAG: sandbox.id},
    )["UserPool"]
    pool_id = pool["Id"]
    sandbox.leftovers.expect(
        f"user pool {pool_id}", lambda: cognito.delete_user_pool(UserPoolId=pool_id), calls=0
    )
    client_id = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="check",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    password = f"A1-{secrets.token_urlsafe(24)}!"
    cognito.admin_create_user(UserPoolId=pool_id, Username="check", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(
        UserPoolId=pool_id, Username="check", Password=password, Permanent=True
    )
    tokens: dict[str, str] = cognito.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "check", "PASSWORD": password},
    )["AuthenticationResult"]
    return str(pool["Arn"]), client_id, tokens


def _simultaneous(permissions: Any, store: str, pool_arn: str, client_id: str) -> Outcome:
    """Make policy and identity source in the same moment; what is refused, once more alone."""
    cognito = {
        "userPoolArn": pool_arn,
        "clientIds": [client_id],
        "groupConfiguration": {"groupEntityType": "Fleet::Group"},
    }
    writes: tuple[Callable[[], object], ...] = (
        lambda: permissions.create_policy(
            policyStoreId=store, definition={"static": {"statement": _PERMIT}}
        ),
        lambda: permissions.create_identity_source(
            policyStoreId=store,
            principalEntityType="Fleet::User",
            configuration={"cognitoUserPoolConfiguration": cognito},
        ),
    )

    def said(write: Callable[[], object]) -> str:
        try:
            write()
        except ClientError as error:
            return code(error)
        return "made"

    with ThreadPoolExecutor(max_workers=len(writes)) as threads:
        answers = list(threads.map(said, writes))
    for write, answer in zip(writes, answers, strict=True):
        if answer != "made":
            write()
    words = f"CreatePolicy and CreateIdentitySource at once: {', '.join(answers)}"
    if "ConflictException" in answers:
        return answered(holds=True, answer=words)
    return unanswered(f"{words}; AWS says that it might refuse")


def _decision(permissions: Any, store: str, **token: str) -> str:
    try:
        answer = permissions.is_authorized_with_token(
            policyStoreId=store,
            action={"actionType": "Fleet::Action", "actionId": "ListDevices"},
            resource={"entityType": "Fleet::Tenant", "entityId": "check"},
            context={
                "contextMap": {
                    "now": {"datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")},
                    "emergency": {"boolean": False},
                }
            },
            **token,
        )
    except ClientError as error:
        return code(error)
    return str(answer["decision"])
