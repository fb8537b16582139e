"""A child process gets sessions of its role, as an ECS task does, and never the root keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

CHILD = """
import boto3, json
session = boto3.Session()
sts = session.client("sts")
dynamodb = session.client("dynamodb")
tables = dynamodb.list_tables()["TableNames"]
try:
    session.client("iam").list_roles()
except Exception as error:
    refused = error.response["Error"]["Code"]
found = session.get_credentials()
print(json.dumps({"arn": sts.get_caller_identity()["Arn"],
                  "method": found.method, "refused": refused,
                  "expires": str(found._expiry_time)}))
"""


def _role(cloud: EmbeddedCloud, service: str = "ecs-tasks.amazonaws.com", **more: Any) -> str:
    """A role that this service may assume and that may list tables."""
    iam, name = cloud.client("iam"), f"service-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    } | more
    may = {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"}
    role: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"][
        "Arn"
    ]
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=_document(may))
    return role


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_child_has_a_session_of_its_role(embedded_cloud: EmbeddedCloud, tmp_path: Path) -> None:
    """boto3 in a child finds the role's session, whatever files the machine has; IAM binds it."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id=AKIAOFTHEMACHINE0000\naws_secret_access_key=x\n"
    )
    role = _role(embedded_cloud)
    variables = embedded_cloud.environment(role)
    root = embedded_cloud.environment()
    assert not {root["AWS_ACCESS_KEY_ID"], root["AWS_SECRET_ACCESS_KEY"]} & {
        *variables.values(),
        *os.environ.values(),
    }
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={"HOME": str(tmp_path)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    name = role.rsplit("/", 1)[1]
    assert found["arn"].startswith(f"arn:aws:sts::{embedded_cloud.account_id}:assumed-role/{name}/")
    assert found["method"] == "container-role"
    assert found["expires"] != "None"
    assert found["refused"] in ("AccessDenied", "AccessDeniedException")


def test_every_fetch_is_a_fresh_session(embedded_cloud: EmbeddedCloud) -> None:
    """The endpoint answers a new session each time, so that a long-lived child can refresh."""
    variables = embedded_cloud.environment(_role(embedded_cloud))
    keys = {_fetch(variables).json()["AccessKeyId"] for _ in range(2)}
    assert len(keys) == 2
    assert all(key.startswith("ASIA") for key in keys)


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_wrong_token_is_refused(token: str | None, embedded_cloud: EmbeddedCloud) -> None:
    """Only the child that was given the token gets the session."""
    variables = embedded_cloud.environment(_role(embedded_cloud))
    answer = _fetch(variables, {} if token is None else {"Authorization": token})
    assert answer.status_code == 403
    assert "AccessKeyId" not in answer.text


def test_token_of_another_role_is_refused(embedded_cloud: EmbeddedCloud) -> None:
    """A child cannot fetch the session of another child's role."""
    mine, other = (embedded_cloud.environment(_role(embedded_cloud)) for _ in range(2))
    answer = _fetch(other, {"Authorization": mine["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
    assert answer.status_code == 403


def test_role_that_is_missing_is_named(embedded_cloud: EmbeddedCloud) -> None:
    """A role that was not stamped yet is an error that says so."""
    role = f"arn:aws:iam::{embedded_cloud.account_id}:role/not-stamped"
    answer = _fetch(embedded_cloud.environment(role))
    assert answer.status_code == 404
    assert "there is no role" in answer.json()["message"]


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("lambda.amazonaws.com", {}),
        ("ecs-tasks.amazonaws.com", {"Action": "sts:TagSession"}),
        ("ecs-tasks.amazonaws.com", {"Effect": "Deny"}),
        ("ecs-tasks.amazonaws.com", {"Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}),
    ],
)
def test_role_that_does_not_trust_tasks_is_refused(
    service: str, more: dict[str, Any], embedded_cloud: EmbeddedCloud
) -> None:
    """A role for something else gives no session, as on ECS."""
    answer = _fetch(embedded_cloud.environment(_role(embedded_cloud, service, **more)))
    assert answer.status_code == 403
    assert "does not trust ecs-tasks.amazonaws.com" in answer.json()["message"]


def _fetch(variables: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
    if headers is None:
        headers = {"Authorization": variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    return httpx.get(
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=headers, trust_env=False
    )
