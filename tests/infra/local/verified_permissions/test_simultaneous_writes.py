"""Of two writes of one policy store in the same moment, one is refused, as AWS may do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from infra.local.verified_permissions import AccessDenied, Caller, VerifiedPermissions

ACCOUNT, REGION = "123456789012", "eu-central-1"
PERMIT = {"static": {"statement": "permit(principal, action, resource);"}}
Answer = tuple[int, dict[str, Any]]


def authenticate(headers: Any, _body: bytes, _action: str, _arn: str | None) -> Caller:
    """Everybody but a stranger is the account."""
    if headers.get("stranger"):
        raise AccessDenied("AccessDeniedException", "a stranger")
    return Caller(account_id=ACCOUNT, region=REGION)


@pytest.fixture
def app() -> VerifiedPermissions:
    """An endpoint at which a write takes a moment."""
    return VerifiedPermissions(
        state_dir=None,
        authenticate=authenticate,
        signing_keys={}.__getitem__,
        account_id=ACCOUNT,
        write_seconds=lambda: 0.001,
    )


async def ask(
    app: VerifiedPermissions, operation: str, stranger: str = "", **request: Any
) -> Answer:
    """Status and document of one request."""
    signed = f"AWS4-HMAC-SHA256 Credential=A/20261122/{REGION}/verifiedpermissions/aws4_request"
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(request).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"x-amz-target": f"VerifiedPermissions.{operation}", "authorization": signed}
    headers |= {"stranger": stranger} if stranger else {}
    scope = {
        "type": "http",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def store(app: VerifiedPermissions) -> str:
    """A new one."""
    made = await ask(app, "CreatePolicyStore", validationSettings={"mode": "OFF"})
    return str(made[1]["policyStoreId"])


def codes(answers: list[Answer]) -> list[str]:
    """Of each answer the error's code, or nothing."""
    return [str(document.get("__type", "")).rpartition("#")[2] for _, document in answers]


@pytest.mark.parametrize(
    ("operation", "request_of"),
    [
        ("CreatePolicy", {"definition": PERMIT}),
        ("DeletePolicy", {"policyId": "none"}),
        ("PutSchema", {"definition": {"cedarJson": "{}"}}),
    ],
)
def test_second_write_conflicts(
    operation: str, request_of: dict[str, Any], app: VerifiedPermissions
) -> None:
    """The later one gets AWS's code while the first goes through, and may be tried again."""

    async def run() -> tuple[list[Answer], Answer]:
        one = await store(app)
        both = [
            ask(app, "CreatePolicy", policyStoreId=one, definition=PERMIT),
            ask(app, operation, policyStoreId=one, **request_of),
        ]
        answers = await asyncio.gather(*both)
        return list(answers), await ask(app, operation, policyStoreId=one, **request_of)

    answers, again = asyncio.run(run())
    assert codes(answers) == ["", "ConflictException"]
    assert answers[1][1]["resources"][0]["resourceType"] == "POLICY_STORE"
    assert again[0] == 200


def test_writes_of_two_stores_do_not_meet(app: VerifiedPermissions) -> None:
    """Neither do a write and a read of one."""

    async def run() -> list[Answer]:
        one, other = await store(app), await store(app)
        asked = [
            ask(app, "CreatePolicy", policyStoreId=one, definition=PERMIT),
            ask(app, "CreatePolicy", policyStoreId=other, definition=PERMIT),
            ask(app, "ListPolicies", policyStoreId=one),
        ]
        return list(await asyncio.gather(*asked))

    assert codes(asyncio.run(run())) == ["", "", ""]


def test_stranger_learns_of_no_write(app: VerifiedPermissions) -> None:
    """Who may not write is refused for that, whatever else is on its way."""

    async def run() -> list[Answer]:
        one = await store(app)
        asked = [
            ask(app, "CreatePolicy", policyStoreId=one, definition=PERMIT),
            ask(app, "CreatePolicy", policyStoreId=one, definition=PERMIT, stranger="yes"),
        ]
        return list(await asyncio.gather(*asked))

    assert codes(asyncio.run(run())) == ["", "AccessDeniedException"]
