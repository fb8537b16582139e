"""Verified Permissions inside the cloud: its signatures, its IAM, its own pools' keys."""

from __future__ import annotations

import hashlib
import json
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

PASSWORD = "Perm-Passw0rd!2"
PERMIT = 'permit(principal in Fleet::Group::"{pool}|managers", action, resource);'


def _client(cloud: EmbeddedCloud, **options: Any) -> Any:
    return boto3.Session(region_name=cloud.region).client(
        "verifiedpermissions", endpoint_url=cloud.endpoint_url, **options
    )


def _session(cloud: EmbeddedCloud, action: str, resource: str) -> Any:
    """A client whose session may do one action on one resource."""
    iam, name = cloud.client("iam"), f"avp-{uuid.uuid4().hex[:8]}"
    root = {"AWS": f"arn:aws:iam::{cloud.account_id}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": action, "Resource": resource}
    documents = [
        json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, may)
    ]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=documents[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=documents[1])
    session = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return _client(
        cloud,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


def _store(cloud: EmbeddedCloud) -> tuple[str, str]:
    """The id and ARN of a new policy store."""
    made = cloud.client("verifiedpermissions").create_policy_store(
        validationSettings={"mode": "OFF"}
    )
    return made["policyStoreId"], made["arn"]


def test_signature_is_verified(embedded_cloud: EmbeddedCloud) -> None:
    """A wrong secret, an unknown key and no signature at all are refused."""
    root = embedded_cloud.environment()["AWS_ACCESS_KEY_ID"]
    wrong = _client(embedded_cloud, aws_access_key_id=root, aws_secret_access_key="wrong")
    unknown = _client(
        embedded_cloud, aws_access_key_id="AKIA0000000000000000", aws_secret_access_key="wrong"
    )
    unsigned = _client(embedded_cloud, config=Config(signature_version=UNSIGNED))
    for client, code in (
        (wrong, "SignatureDoesNotMatch"),
        (unknown, "UnrecognizedClientException"),
        (unsigned, "MissingAuthenticationToken"),
    ):
        with pytest.raises(ClientError, match=code):
            client.list_policy_stores()
        client.close()


def _posted(cloud: EmbeddedCloud, *, service: str, stated: str, signed: bytes, sent: bytes) -> str:
    """Sign one body as root and send another: the error's code, empty when served."""
    environment = cloud.environment()
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    headers = {
        "X-Amz-Target": "VerifiedPermissions.ListPolicyStores",
        "X-Amz-Content-SHA256": stated,
    }
    request = AWSRequest("POST", f"{cloud.endpoint_url}/", data=signed, headers=headers)
    SigV4Auth(credentials, service, cloud.region).add_auth(request)
    # The address is the test's own.
    gateway = urllib.request.Request(cloud.endpoint_url, sent, dict(request.headers))  # noqa: S310
    try:
        with urllib.request.urlopen(gateway, timeout=10):  # noqa: S310 - as above
            return ""
    except HTTPError as error:
        with error:
            return json.loads(error.read())["__type"].rpartition("#")[2]


def test_signature_covers_the_body_and_the_service(embedded_cloud: EmbeddedCloud) -> None:
    """A signed hash of another body, no hash at all, and a signature for S3 are refused."""
    signed, sent = b'{"maxResults": 1}', b'{"maxResults": 2}'
    digest, service = hashlib.sha256(signed).hexdigest(), "verifiedpermissions"
    assert not _posted(embedded_cloud, service=service, stated=digest, signed=signed, sent=signed)
    for of, stated, body in (
        (service, digest, sent),
        (service, "UNSIGNED-PAYLOAD", signed),
        (service, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", signed),
        ("s3", "UNSIGNED-PAYLOAD", signed),
        ("s3", digest, signed),
    ):
        code = _posted(embedded_cloud, service=of, stated=stated, signed=signed, sent=body)
        assert code == "SignatureDoesNotMatch", (of, stated)


def test_session_reaches_only_its_store(embedded_cloud: EmbeddedCloud) -> None:
    """A role that may decide in one store may neither decide in another nor change its own."""
    (mine, arn), (other, _) = _store(embedded_cloud), _store(embedded_cloud)
    session = _session(embedded_cloud, "verifiedpermissions:IsAuthorized", arn)
    entity = {"entityType": "User", "entityId": "ada"}
    question = {
        "principal": entity,
        "action": {"actionType": "Action", "actionId": "see"},
        "resource": entity,
    }
    assert session.is_authorized(policyStoreId=mine, **question)["decision"] == "DENY"
    with pytest.raises(ClientError, match="AccessDeniedException") as refused:
        session.is_authorized(policyStoreId=other, **question)
    assert other in str(refused.value)
    statement = {"static": {"statement": "permit(principal, action, resource);"}}
    with pytest.raises(ClientError, match="AccessDeniedException"):
        session.create_policy(policyStoreId=mine, definition=statement)
    session.close()


def _person(cloud: EmbeddedCloud) -> tuple[str, str, str]:
    """A pool, its app, and an ID token of a manager."""
    people, name = cloud.client("cognito-idp"), f"user-{uuid.uuid4().hex[:8]}"
    pool = people.create_user_pool(PoolName="people")["UserPool"]["Id"]
    app = people.create_user_pool_client(
        UserPoolId=pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    people.create_group(UserPoolId=pool, GroupName="managers")
    people.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    people.admin_set_user_password(
        UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True
    )
    people.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName="managers")
    answer = people.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=app,
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )
    return pool, app, answer["AuthenticationResult"]["IdToken"]


def test_token_of_the_pool_decides_and_of_another_does_not(embedded_cloud: EmbeddedCloud) -> None:
    """A store trusts the tokens of its own pool, with the keys it signs with now."""
    policies = embedded_cloud.client("verifiedpermissions")
    (store, _), (pool, app, token), (_, _, foreign) = (
        _store(embedded_cloud),
        _person(embedded_cloud),
        _person(embedded_cloud),
    )
    arn = f"arn:aws:cognito-idp:{embedded_cloud.region}:{embedded_cloud.account_id}:userpool/{pool}"
    source = {
        "userPoolArn": arn,
        "clientIds": [app],
        "groupConfiguration": {"groupEntityType": "Fleet::Group"},
    }
    policies.create_identity_source(
        policyStoreId=store,
        principalEntityType="Fleet::User",
        configuration={"cognitoUserPoolConfiguration": source},
    )
    policies.create_policy(
        policyStoreId=store, definition={"static": {"statement": PERMIT.format(pool=pool)}}
    )
    question: dict[str, Any] = {
        "action": {"actionType": "Fleet::Action", "actionId": "ViewDevice"},
        "resource": {"entityType": "Fleet::Device", "entityId": "press-07"},
    }
    answer = policies.is_authorized_with_token(policyStoreId=store, identityToken=token, **question)
    assert answer["decision"] == "ALLOW"
    for bad in (foreign, token[:-8] + "AAAAAAAA"):
        with pytest.raises(ClientError, match="ValidationException"):
            policies.is_authorized_with_token(policyStoreId=store, identityToken=bad, **question)
