"""Whose credentials sign a call, where it goes, how often it is tried, and what is kept of it."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from service.adapters.aws.client.credentials import TenantCredentials
from service.adapters.aws.client.failures import (
    AwsCallError,
    AwsRefusalError,
    NoAnswerError,
    UnreadableAnswerError,
    asks,
)
from service.adapters.aws.client.line import Reply
from service.adapters.aws.client.operations import AwsOperations
from service.adapters.aws.client.retries import Retries, RetryBudget
from service.adapters.aws.client.signing import AwsCredentials
from service.adapters.aws.connections import IotConnections
from service.domain.devices import Device
from service.errors import CedarfleetError, UnavailableError, UpstreamError
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from service.domain.tenants import Tenant


def of_role(tenant: Tenant, name: str) -> Tenant:
    """The tenant with another role."""
    return replace(tenant, role_arn=f"arn:aws:iam::123456789012:role/{name}")


def test_a_tenants_call_is_signed_with_its_role(acme: Tenant) -> None:
    """The role is assumed once, named after the tenant, and its credentials sign what is sent."""
    door = AnsweredDoor(AWS)

    async def scenario() -> None:
        things = door.tenant(acme, "iot")
        await asyncio.gather(
            *(things.call("DescribeCertificate", certificateId="ab" * 32) for _ in range(3))
        )

    asyncio.run(scenario())
    [asked] = door.line.roles
    assert asked.arguments == {
        "RoleArn": acme.role_arn,
        "RoleSessionName": "service-acme",
        "DurationSeconds": 3600,
    }
    for request in door.line.sent:
        assert "Credential=ASIAOFTHETENANT/" in request.headers["Authorization"]
        assert request.headers["X-Amz-Security-Token"] == "token of the tenant"
    assert len(door.line.sent) == 3


@pytest.mark.parametrize("service", ["sts", "iam", "cognito-identity", "sqs", ""])
def test_no_other_service_is_asked_as_a_tenant(acme: Tenant, service: str) -> None:
    """A service that no tenant's role is for is refused before any role is assumed."""
    door = AnsweredDoor(AWS)
    with pytest.raises(ValueError, match="no tenant session for"):
        door.tenant(acme, service)
    assert door.line.roles == []


def test_the_credentials_used_longest_ago_are_dropped(acme: Tenant) -> None:
    """Of three tenants two are kept, those used last."""
    assumed: list[str] = []

    async def assume(tenant: Tenant) -> AwsCredentials:
        assumed.append(tenant.role_arn.rpartition("/")[2])
        return AwsCredentials(access_key=tenant.role_arn, secret_key="s")

    async def scenario() -> None:
        kept = TenantCredentials(assume, max_tenants=2)
        for name in ("first", "second", "first", "third", "first", "second"):
            made = await kept.get(of_role(acme, name))
            assert made.access_key.endswith(name)

    asyncio.run(scenario())
    assert assumed == ["first", "second", "third", "second"]


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (None, "https://acme-artifacts.s3.eu-central-1.amazonaws.com/recipes/steel%20.json"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/acme-artifacts/recipes/steel%20.json"),
    ],
)
def test_buckets_are_addressed_as_the_endpoint_can(
    acme: Tenant, endpoint: str | None, address: str
) -> None:
    """On AWS the bucket is part of the host's name; the embedded cloud has one host for all."""
    door = AnsweredDoor(AwsSettings(region="eu-central-1", endpoint_url=endpoint))
    asked = {"Bucket": acme.bucket, "Key": "recipes/steel .json"}
    asyncio.run(door.tenant(acme, "s3").call("HeadObject", **asked))
    [request] = door.line.sent
    assert request.url == address
    assert "/eu-central-1/s3/aws4_request" in request.headers["Authorization"]
    assert door.line.seconds == AwsSettings(region="x").read_seconds


def test_a_command_goes_to_the_accounts_own_endpoint(acme: Tenant) -> None:
    """Publish and connections are asked of the account's data plane, never of the generic one."""
    host = "a1b2c3-ats.iot.eu-central-1.amazonaws.com"
    door = AnsweredDoor(AwsSettings(region="eu-central-1", iot_data_endpoint=host))
    data = door.tenant(acme, "iot-data")
    asyncio.run(data.call("Publish", topic="fleet/acme--press-07/commands/1"))
    asyncio.run(data.call("GetConnection", clientId="acme--press-07"))
    asyncio.run(door.tenant(acme, "iot").call("DescribeCertificate", certificateId="ab" * 32))
    hosts = [request.url.split("/")[2] for request in door.line.sent]
    assert hosts == [host, host, "iot.eu-central-1.amazonaws.com"]


GET: dict[str, Any] = {"TableName": "t", "Key": {"k": {"S": "1"}}}


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (Refusal("ThrottlingException"), 3),
        (Refusal("AccessDeniedException"), 1),
        (None, 3),
        (NoAnswerError("it broke", is_lost=True), 3),
        (Reply(status=200, headers={}, body=b'{"Item": {"secret'), 3),
        (Reply(status=200, headers={"x-amz-crc32": "1"}, body=b"{}"), 3),
    ],
)
def test_what_may_pass_is_tried_again(answer: Any, attempts: int) -> None:
    """As often as the settings say, each attempt signed anew; what will not pass is asked once."""
    door = AnsweredDoor(replace(AWS, max_attempts=3))
    door.answer = lambda _: answer
    with pytest.raises(AwsCallError) as caught:
        asyncio.run(door.own("dynamodb").call("GetItem", **GET))
    assert len(door.calls) == attempts
    assert "secret" not in str(caught.value)


def test_a_later_attempt_may_answer() -> None:
    """Its answer is that of the call; and a transaction's repetition carries the same token."""
    door = AnsweredDoor(replace(AWS, max_attempts=3))
    door.answer = lambda _: None if len(door.calls) == 1 else {}
    puts = [{"Put": {"TableName": "t", "Item": {"k": {"S": "1"}}}}]
    assert asyncio.run(door.own("dynamodb").call("TransactWriteItems", TransactItems=puts)) == {}
    first, second = (call.arguments["ClientRequestToken"] for call in door.calls)
    assert first == second


def test_a_budget_of_repetitions_ends_and_comes_back() -> None:
    """Each repetition takes of it, and only success fills it again."""
    operation = AwsOperations(AWS).find("dynamodb", "GetItem")
    budget, retries = RetryBudget(), Retries(3)
    failure = NoAnswerError("it broke", is_lost=True)
    taken = 0
    while budget.take(retries.context(operation, 1, failure)):
        taken += 1
    assert 30 < taken < 200
    used = retries.context(operation, 1, failure)
    assert not budget.take(used)
    for _ in range(20):
        budget.succeeded(None)
    assert budget.take(used)


def test_the_deadline_ends_a_call_with_all_its_attempts() -> None:
    """However long the line would wait."""
    door = AnsweredDoor(replace(AWS, deadline_seconds=0.05))

    async def never() -> dict[str, Any]:
        await asyncio.get_running_loop().create_future()
        return {}

    door.answer = lambda _: never()
    with pytest.raises(NoAnswerError, match="deadline"):
        asyncio.run(door.own("dynamodb").call("GetItem", **GET))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AwsRefusalError("Do", code="SlowDown", status=400, members={}), UnavailableError),
        (AwsRefusalError("Do", code="SomethingNew", status=503, members={}), UnavailableError),
        (AwsRefusalError("Do", code="SomethingNew", status=499, members={}), UpstreamError),
        (AwsRefusalError("Do", code="AccessDenied", status=403, members={}), UpstreamError),
        (NoAnswerError("broken", is_lost=True), UnavailableError),
        (UnreadableAnswerError("Do", "no JSON"), UpstreamError),
        (KeyError("secret"), UpstreamError),
        (ValueError("secret"), UpstreamError),
        (AttributeError("secret"), UpstreamError),
    ],
)
def test_errors_of_aws_become_ours(error: Exception, kind: type[CedarfleetError]) -> None:
    """What may pass is `unavailable`, what will not `upstream`; nothing quotes the answer."""

    @asks("the part")
    async def fail() -> None:
        raise error

    with pytest.raises(CedarfleetError) as caught:
        asyncio.run(fail())
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert "the part" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_role_cut_off_half_way_is_told_to_nobody(acme: Tenant) -> None:
    """Its secret key stands in the answer that cannot be read: not in the error, nor in the log."""
    door = AnsweredDoor(replace(AWS, max_attempts=2))
    cut = b"<AssumeRoleResponse><Credentials><SecretAccessKey>hidden-key</Secret"
    door.line.role = Reply(status=200, headers={}, body=cut)
    connections = IotConnections(aws=door)
    with capture_logs() as lines, pytest.raises(UpstreamError) as caught:
        asyncio.run(connections.find(acme, Device(tenant="acme", id="press-07")))
    assert door.calls == []
    assert lines
    told = "".join(traceback.format_exception(caught.value)) + repr(lines)
    assert "hidden-key" not in told
