"""Whose credentials a client signs with, and how many sessions are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from service.adapters.aws.client.sessions import AwsSessions
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_sessions import AnsweredSessions, on_the_line
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    import boto3

    from service.domain.tenants import Tenant


class NoClients(AwsSessions):
    """Sessions that make no client, but count for which session one was wanted."""

    def __init__(self, *, max_tenants: int) -> None:
        super().__init__(AWS, max_tenants=max_tenants)
        self.made: list[tuple[int, str]] = []

    def make(
        self, session: boto3.Session, service: str, patience_seconds: float | None = None
    ) -> Any:
        """Nothing, written down."""
        self.made.append((id(session), service if patience_seconds is None else f"{service} once"))
        return object()


def of_role(tenant: Tenant, name: str) -> Tenant:
    """The tenant with another role."""
    return replace(tenant, role_arn=f"arn:aws:iam::123456789012:role/{name}")


def test_a_tenants_call_is_signed_with_its_role(acme: Tenant) -> None:
    """The role is assumed once, named after the tenant, and its credentials sign what is sent."""
    sessions = AnsweredSessions(AWS)
    sessions.answer = on_the_line
    for _ in range(2):
        with pytest.raises(ClientError):
            sessions.tenant(acme, "iot").describe_thing(thingName="acme--press-07")
    [asked] = sessions.roles
    assert asked.arguments == {
        "RoleArn": acme.role_arn,
        "RoleSessionName": "service-acme",
        "DurationSeconds": 3600,
    }
    for request in sessions.sent:
        assert b"Credential=ASIAOFTHETENANT/" in request.headers["Authorization"]
        assert request.headers["X-Amz-Security-Token"] == b"token of the tenant"
    assert len(sessions.sent) == 2


def test_a_tenants_session_makes_no_other_client(acme: Tenant) -> None:
    """A service that no tenant's role is for is refused before any role is assumed."""
    sessions = NoClients(max_tenants=1)
    for service in ("sts", "iam", "cognito-idp", ""):
        with pytest.raises(ValueError, match="no tenant session for"):
            sessions.tenant(acme, service)
    assert sessions.made == []


def test_the_session_used_longest_ago_is_dropped(acme: Tenant) -> None:
    """Each session makes one client a service; of three tenants two are kept, those used last."""
    sessions = NoClients(max_tenants=2)
    first, second, third = (of_role(acme, name) for name in ("first", "second", "third"))
    a = sessions.tenant(first, "iot")
    b = sessions.tenant(second, "iot")
    assert sessions.tenant(first, "iot") is a
    assert sessions.tenant(first, "s3") is not a
    assert sessions.tenant(third, "iot") not in (a, b)
    assert sessions.tenant(first, "iot") is a
    assert sessions.tenant(second, "iot") is not b
    assert [service for _, service in sessions.made] == ["iot", "iot", "s3", "iot", "iot"]
    assert sessions.own("iot") is sessions.own("iot")


@pytest.mark.parametrize(("endpoint", "style"), [(None, "virtual"), ("http://127.0.0.1:1", "path")])
def test_buckets_are_addressed_as_the_endpoint_can(
    acme: Tenant, endpoint: str | None, style: str
) -> None:
    """On AWS the bucket is part of the host's name; the embedded cloud has one host for all."""
    settings = AwsSettings(region="eu-central-1", endpoint_url=endpoint, max_attempts=2)
    sessions = AnsweredSessions(settings)
    config = sessions.tenant(acme, "s3").meta.config
    assert config.s3["addressing_style"] == style
    assert config.signature_version == "s3v4"
    assert (config.connect_timeout, config.read_timeout) == (2.0, 5.0)
    assert config.retries["total_max_attempts"] == 2
    sessions.answer = on_the_line
    with pytest.raises(ClientError):
        sessions.tenant(acme, "s3").head_object(Bucket=acme.bucket, Key="recipes/steel.json")
    host = "acme-artifacts.s3.eu-central-1.amazonaws.com" if endpoint is None else "127.0.0.1:1"
    assert host in sessions.sent[0].url


def test_a_command_goes_to_the_accounts_own_endpoint(acme: Tenant) -> None:
    """Publish and connections are asked of the account's data plane, never of the generic one."""
    host = "a1b2c3-ats.iot.eu-central-1.amazonaws.com"
    sessions = AnsweredSessions(AwsSettings(region="eu-central-1", iot_data_endpoint=host))
    sessions.answer = on_the_line
    data = sessions.tenant(acme, "iot-data")
    for call in (
        lambda: data.publish(topic="fleet/acme--press-07/commands/1"),
        lambda: data.get_connection(clientId="acme--press-07"),
    ):
        with pytest.raises(ClientError):
            call()
    assert {request.url.split("/")[2] for request in sessions.sent} == {host}
    assert (
        sessions.tenant(acme, "iot").meta.endpoint_url == "https://iot.eu-central-1.amazonaws.com"
    )
