"""The embedded cloud keeps which role asked IAM for what, and what it said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.cloud.rights import FILE, Rights, Used

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

ROLE = "rights-of-a-test"


def test_each_right_is_kept_with_its_answer(embedded_cloud: EmbeddedCloud) -> None:
    """Of a role's session what was allowed and what was denied; of the root user nothing."""
    iam = embedded_cloud.client("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{embedded_cloud.account_id}:root"},
    }
    made = iam.create_role(
        RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
    )["Role"]
    allowed = {"Effect": "Allow", "Action": "iot:DescribeEndpoint", "Resource": "*"}
    iam.put_role_policy(
        RoleName=ROLE, PolicyName="one", PolicyDocument=json.dumps({"Statement": [allowed]})
    )
    keys = embedded_cloud.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="session")[
        "Credentials"
    ]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name=embedded_cloud.region,
    )
    iot = session.client("iot", endpoint_url=embedded_cloud.endpoint_url)
    iot.describe_endpoint(endpointType="iot:Data-ATS")
    with pytest.raises(ClientError):
        iot.list_things()
    iot.close()

    assert {used for used in embedded_cloud.rights.used() if used.role == ROLE} == {
        Used(role=ROLE, action="iot:DescribeEndpoint", allowed=True),
        Used(role=ROLE, action="iot:ListThings", allowed=False),
    }
    assert not any("root" in used.role for used in embedded_cloud.rights.used())


def test_a_file_gets_each_right_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line the first time, which reads back as what it was."""
    monkeypatch.setenv(FILE, str(tmp_path / "rights"))
    rights = Rights()
    arn = "arn:aws:sts::123456789012:assumed-role/cedarfleet-acme/service"
    for allowed in (True, True, False):
        rights.note(arn, "s3:GetObject", allowed=allowed)
    rights.note("arn:aws:iam::123456789012:root", "s3:GetObject", allowed=True)
    lines = (tmp_path / "rights").read_text().splitlines()
    assert [Used.of(line) for line in lines] == [
        Used(role="cedarfleet-acme", action="s3:GetObject", allowed=allowed)
        for allowed in (True, False)
    ]
