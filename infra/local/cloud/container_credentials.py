"""The credentials endpoint of an ECS task: children get sessions of a role, never the root keys.

Protocol: boto3's container provider sends ``GET AWS_CONTAINER_CREDENTIALS_FULL_URI`` with
``Authorization: <token>`` and expects ``AccessKeyId``, ``SecretAccessKey``, ``Token`` and
``Expiration`` (AWS SDK reference guide, "Container credential provider"). Tokens are random, per
role, and kept in memory only.
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import hmac
import json
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.signatures import header_values

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator
    from infra.local.cloud.front_door import Application, Receive, Scope, Send

PATH: Final = "/_cedarfleet/container-credentials/"
_SESSION_SECONDS: Final = 3600
_TASKS: Final = "ecs-tasks.amazonaws.com"


class ContainerCredentials:
    """ASGI application: the endpoint at ``PATH``; everything else goes to ``inner``."""

    def __init__(self, *, emulator: Emulator, inner: Application) -> None:
        self._emulator = emulator
        self._inner = inner
        self._tokens: dict[str, tuple[str, str]] = {}  # by name in the path: role ARN, token

    def admit(self, role_arn: str) -> tuple[str, str]:
        """The path and the token with which a child may fetch sessions of this role."""
        for name, (known, token) in list(self._tokens.items()):
            if known == role_arn:
                return PATH + name, token
        name, token = secrets.token_urlsafe(12), secrets.token_urlsafe(32)
        self._tokens[name] = role_arn, token
        return PATH + name, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            await self._inner(scope, receive, send)
            return
        role, expected = self._tokens.get(scope["path"].removeprefix(PATH), ("", ""))
        given = header_values(scope["headers"], b"authorization")
        if (
            scope["method"] != "GET"
            or not expected
            or len(given) != 1
            or not _equal(given[0], expected)
        ):
            # Fail closed.
            status, document = (
                403,
                {"code": "AccessDenied", "message": "no such role, or not its token"},
            )
        else:
            status, document = self._session(role)
        body = json.dumps(document).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _session(self, role_arn: str) -> tuple[int, dict[str, str]]:
        """A fresh session, when the role exists and trusts ECS tasks."""
        iam, sts = self._emulator.module("services.iam"), self._emulator.module("services.sts")
        name = role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(self._emulator.account_id, None, name)
        if role is None:
            return 404, {
                "code": "NoSuchRole",
                "message": f"there is no role `{role_arn}`: stamp it first",
            }
        if not _trusts_tasks(role.get("AssumeRolePolicyDocument"), self._emulator.account_id):
            return 403, {"code": "AccessDenied", "message": f"`{role_arn}` does not trust {_TASKS}"}
        key, secret, token = (
            iam._gen_session_access_key(),
            iam._gen_secret(),
            iam._gen_session_token(),
        )
        session_name, expiration = secrets.token_hex(16), time.time() + _SESSION_SECONDS
        session = {
            "Arn": f"arn:aws:sts::{self._emulator.account_id}:assumed-role/{name}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": expiration,
            "AccountId": self._emulator.account_id,
            "PrincipalType": "AssumedRole",
        }
        sts.register_session(key, session)
        return 200, {
            "RoleArn": role_arn,
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "Expiration": datetime.fromtimestamp(expiration, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def _trusts_tasks(document: Any, account_id: str) -> bool:
    """Whether a trust policy lets ECS tasks of this account assume the role.

    The one condition that is understood is the account, as AWS advises against a confused deputy; a
    statement with any other counts for nothing.
    """
    own_account = {"StringEquals": {"aws:SourceAccount": account_id}}
    statements = json.loads(document).get("Statement", []) if isinstance(document, str) else []
    allowed = False
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        actions = statement.get("Action", [])
        names_tasks = _TASKS in ([services] if isinstance(services, str) else services)
        assumes = "sts:AssumeRole" in ([actions] if isinstance(actions, str) else actions)
        if statement.get("Effect") != "Allow":
            return False  # fail closed: a Deny of any form is taken to mean ECS tasks
        allowed = allowed or (
            names_tasks and assumes and statement.get("Condition") in (None, own_account)
        )
    return allowed


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
