"""The door asks, signs, reads and repeats as boto3 does, for every operation that is used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore import xform_name
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse, HeadersDict
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.retries.standard import (
    RetryContext,
    StandardRetryConditions,
    ThrottledRetryableChecker,
)

from service.adapters.aws.client.failures import AwsRefusalError, NoAnswerError
from service.adapters.aws.client.line import Reply
from service.adapters.aws.client.operations import AwsOperations
from service.adapters.aws.client.retries import Retries
from service.adapters.aws.client.signing import AwsCredentials, Scope, presigned, signed
from service.adapters.memory.user_pool import MemoryUserPool
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_line import AnsweredDoor, answered, refused
from tests.service.adapters.aws.every_call import SERVICES, answer, arguments, ports_of
from tests.service.adapters.aws.test_every_refusal import (
    METHODS,
    Refusal,
    named_operations,
    outcome,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.adapters.aws.client.line import Request

REGION: Final = "eu-central-1"
# Of the line, of the moment, or of boto3 alone; each is signed by whoever sends it.
OF_THE_ATTEMPT: Final = frozenset(
    {
        *("accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "authorization"),
        *("content-length", "host", "user-agent", "x-amz-date", "x-amz-security-token"),
    }
)
DATA_HOST: Final = "a1b2c3-ats.iot.eu-central-1.amazonaws.com"


@pytest.fixture(scope="module")
def on_aws() -> AnsweredDoor:
    """The door as on AWS: no endpoint of ours."""
    settings = AwsSettings(region=REGION, iot_data_endpoint=DATA_HOST, max_attempts=1)
    return AnsweredDoor(settings)


@pytest.fixture(scope="module")
def asked(on_aws: AnsweredDoor) -> list[Request]:
    """One request of each operation that goes through the door, as its adapter made it."""
    acme = MemoryUserPool("acme").tenant
    on_aws.answer = lambda call: answer(call, acme)
    ports = ports_of(on_aws)
    for method in METHODS:
        port, _, name = method.partition(".")
        for one in arguments(acme)[method]:
            outcome(getattr(getattr(ports, port), name), one)
    found = {request.operation: request for request in on_aws.line.sent}
    assert {xform_name(name) for name in found} == named_operations(), "else nothing is compared"
    return list(found.values())


class Stopped:
    """boto3's clients, each stopped as it sends."""

    def __init__(self) -> None:
        self.session = boto3.Session("AKIA", "secret", "token", region_name=REGION)
        self.sent: list[Any] = []

    def ask(self, request: Request) -> Any:
        """What boto3 would have sent for the same."""
        url = f"https://{DATA_HOST}" if request.service == "iot-data" else None
        make: Any = self.session.client
        s3: Any = {"addressing_style": "virtual"}
        client = make(request.service, endpoint_url=url, config=Config(s3=s3))
        client.meta.events.register("before-send.*.*", self._send)
        method = next(
            python
            for python, name in client.meta.method_to_api_mapping.items()
            if name == request.operation
        )
        self.sent.clear()
        with pytest.raises(ClientError):
            getattr(client, method)(**request.parameters)
        return self.sent[0]

    def _send(self, *, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        raw = SimpleNamespace(stream=lambda: iter([b""]))
        return AWSResponse(request.url, 400, HTTPHeaders(), raw)


def test_each_request_is_that_of_boto3(asked: list[Request]) -> None:
    """Method, address, headers and body of every operation, asked for with the same parameters."""
    boto = Stopped()
    for request in asked:
        theirs = boto.ask(request)
        assert (request.method, request.url) == (theirs.method, theirs.url), request.operation
        ours = {name.lower(): value for name, value in request.headers.items()}
        said = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in theirs.headers.items()
        }
        for name in OF_THE_ATTEMPT:
            ours.pop(name, None)
            said.pop(name, None)
        assert ours == said, request.operation
        assert document(request.body) == document(theirs.body or b""), request.operation


def document(body: bytes | str) -> Any:
    """A body, however its spaces and escapes are written."""
    text = body.decode() if isinstance(body, bytes) else body
    return json.loads(text) if text.startswith("{") else sorted(parse_qsl(text)) or text


def test_each_signature_is_that_of_botocore(asked: list[Request]) -> None:
    """Of every request, at the same moment and with the same credentials; with a token and not."""
    for request in asked:
        for token in (None, "a token/of+a=session"):
            name = SERVICES[request.service].signing_name
            scope = Scope(region=REGION, service=name, is_s3=request.service == "s3")
            kept = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in {*OF_THE_ATTEMPT, "x-amz-content-sha256"}
            }
            theirs = AWSRequest(request.method, request.url, kept, request.body)
            signer = S3SigV4Auth if scope.is_s3 else SigV4Auth
            signer(Credentials("AKIA", "secret/+", token), name, REGION).add_auth(theirs)
            stamp = datetime.strptime(f"{theirs.headers['X-Amz-Date']}+0000", "%Y%m%dT%H%M%SZ%z")
            ours = signed(
                AwsCredentials(access_key="AKIA", secret_key="secret/+", token=token),
                scope,
                method=request.method,
                url=request.url,
                headers=kept,
                body=request.body,
                at=stamp,
            )
            assert ours == dict(theirs.headers), request.operation


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("s3", "/a%20b//c/../d~e"),
        ("s3", "/"),
        ("iotdata", "/things/a%2Fb//c/./d/"),
        ("iotdata", "/"),
        ("sqs", "?b=2&a=%20x&a=1"),
    ],
)
def test_a_signature_of_odd_parts_is_that_of_botocore(name: str, path: str) -> None:
    """Blanks in a header, and paths and queries that are written in more than one way."""
    url, kept = f"https://odd.example.com{path}", {"X-Amz-Target": "  a   b ", "X-Odd": "c d"}
    theirs = AWSRequest("GET", url, kept, b"")
    signer = S3SigV4Auth if name == "s3" else SigV4Auth
    signer(Credentials("AKIA", "secret", None), name, REGION).add_auth(theirs)
    stamp = datetime.strptime(f"{theirs.headers['X-Amz-Date']}+0000", "%Y%m%dT%H%M%SZ%z")
    ours = signed(
        AwsCredentials(access_key="AKIA", secret_key="secret"),
        Scope(region=REGION, service=name, is_s3=name == "s3"),
        method="GET",
        url=url,
        headers=kept,
        body=b"",
        at=stamp,
    )
    assert ours == dict(theirs.headers)


def test_a_signed_url_is_that_of_boto3(on_aws: AnsweredDoor) -> None:
    """With the headers that must be sent, at the same moment and with the same credentials."""
    parameters = {
        "Bucket": "acme-artifacts",
        "Key": ".files/01JD0000000000000000000000",
        "UploadId": "an/upload+id=",
        "PartNumber": 3,
        "ContentLength": 12,
        "ChecksumSHA256": "3q2+7w==",
    }
    for token in (None, "a token/of+a=session"):
        make: Any = boto3.Session("AKIA", "secret/+", token, region_name=REGION).client
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        theirs = make("s3", config=config).generate_presigned_url(
            "upload_part", Params=parameters, ExpiresIn=600
        )
        told = dict(parse_qsl(urlsplit(theirs).query))
        operation = AwsOperations(AwsSettings(region=REGION)).find("s3", "UploadPart")
        unsigned = operation.request(dict(parameters))
        ours = presigned(
            AwsCredentials(access_key="AKIA", secret_key="secret/+", token=token),
            operation.scope,
            method=unsigned.method,
            url=unsigned.url,
            headers=unsigned.headers,
            seconds=600,
            at=datetime.strptime(f"{told['X-Amz-Date']}+0000", "%Y%m%dT%H%M%SZ%z"),
        )
        assert unsigned.method == "PUT"
        assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
        assert dict(parse_qsl(urlsplit(ours).query)) == told


def errors_of(model: Any) -> Iterator[Refusal]:
    """Each error of an operation's model, and some that stand in none."""
    for shape in model.error_shapes:
        status = shape.metadata.get("error", {}).get("httpStatusCode", 400)
        yield Refusal(shape.error_code, status)
    for code in ("ThrottlingException", "SlowDown", "SomethingNew", "ExpiredTokenException"):
        for status in (400, 403, 429, 500, 502, 503, 504):
            yield Refusal(code, status)


def test_each_error_is_repeated_as_boto3_would(asked: list[Request]) -> None:
    """For each error that a model names, read off the line; what may run once is not repeated."""
    operations, retries = AwsOperations(AwsSettings(region=REGION)), Retries(3)
    conditions: Any = StandardRetryConditions(max_attempts=3)
    looked_at = 0
    for request in asked:
        operation = operations.find(request.service, request.operation)
        for refusal in errors_of(operation.model):
            for attempt in (1, 2, 3):
                with pytest.raises(AwsRefusalError) as caught:
                    operation.answer(refused(operation.model, refusal))
                error = caught.value
                assert (error.code, error.status) == (refusal.code, refusal.status)
                context = retries.context(operation, attempt, error)
                theirs: Any = RetryContext(
                    attempt_number=attempt,
                    operation_model=operation.model,
                    parsed_response=refusal.body(),
                    http_response=SimpleNamespace(status_code=refusal.status, headers={}),
                )
                wanted = conditions.is_retryable(theirs)
                if request.operation in {"SendDirectMessage", "CreateCertificateFromCsr"}:
                    wanted = wanted and refusal.status < 500
                assert retries.is_repeated(operation, error, context) == wanted, refusal
                looked_at += 1
    assert looked_at > 400


def test_what_botocore_calls_throttling_is_for_now() -> None:
    """A tenant whose call AWS slows down is told to come again, whatever the service names it."""
    codes: list[str] = getattr(ThrottledRetryableChecker, "_THROTTLED_ERROR_CODES")  # noqa: B009
    for code in codes:
        refusal = AwsRefusalError("AssumeRole", code=code, status=400, members={})
        # Of a transaction others are in the way, and the breaker takes no notice of them.
        of_others = code == "TransactionInProgressException"
        assert refusal.is_for_now, code
        assert refusal.is_throttled is not of_others, code
        assert not refusal.is_fault, code


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_broken_line_is_tried_again(is_lost: bool) -> None:
    """As boto3 does; but what must not run twice only where it surely has not run."""
    operations, retries = AwsOperations(AwsSettings(region=REGION)), Retries(3)
    failure = NoAnswerError("broken", is_lost=is_lost)
    for service, name, again in (
        ("dynamodb", "PutItem", True),
        ("iot", "CreateCertificateFromCsr", not is_lost),
        ("iot-data", "SendDirectMessage", not is_lost),
    ):
        operation = operations.find(service, name)
        context = retries.context(operation, 1, failure)
        assert retries.is_repeated(operation, failure, context) == again
        last = retries.context(operation, 3, failure)
        assert not retries.is_repeated(operation, failure, last)


@pytest.mark.parametrize(
    "name", ["acme--press-07", "a/b", "a b?c=d&e#f", "%2F", "é~-._", "label0mark", ""]
)
def test_a_name_in_a_path_is_written_as_botocore_does(name: str) -> None:
    """Of operations whose requests say all in their path, whatever stands in the name."""
    operations = AwsOperations(AwsSettings(region=REGION, iot_data_endpoint=DATA_HOST))
    for service, operation, parameters in (
        ("iot-data", "GetConnection", {"clientId": name}),
        ("iot", "DescribeThing", {"thingName": name}),
        ("iot-data", "GetThingShadow", {"thingName": name}),
        ("iot", "DescribeJobExecution", {"jobId": name, "thingName": f"{name}2"}),
    ):
        found = operations.find(service, operation)
        assert found._path is not None
        assert found.request(dict(parameters)) == found._written(dict(parameters))


ANSWERS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("dynamodb", "Query", {"Items": [{"a": {"S": '"B":null'}}], "Count": 1}),
    ("dynamodb", "GetItem", {"Item": {"a": {"B": b"\x00\xff"}, "b": {"BS": [b"x"]}}}),
    ("dynamodb", "GetItem", {"Item": {"a": {"NULL": True}, "b": {"L": [{"N": "1"}]}}}),
    ("verifiedpermissions", "IsAuthorizedWithToken", {"decision": "ALLOW", "errors": []}),
    ("sqs", "ReceiveMessage", {"Messages": [{"Body": "x", "Attributes": {"A": "1"}}]}),
    ("iot-data", "GetConnection", {"connected": True, "connectedSince": 5}),
    (
        "iot",
        "DescribeJobExecution",
        {"execution": {"jobId": "j", "queuedAt": datetime(2026, 11, 30, tzinfo=UTC)}},
    ),
    ("iot-data", "GetThingShadow", {"payload": b'{"state": {"desired": {"a": 1}}}'}),
    ("s3", "HeadObject", {"ContentLength": 1, "ETag": '"e"', "Metadata": {"sha256": "ab"}}),
)


@pytest.mark.parametrize(("service", "name", "members"), ANSWERS)
def test_each_answer_is_read_as_botocore_does(
    service: str, name: str, members: dict[str, Any]
) -> None:
    """Also what the quick way leaves to botocore: bytes, and members that are null."""
    operation = AwsOperations(AwsSettings(region=REGION)).find(service, name)
    reply = answered(operation.model, members)
    parser: Any = operation.parser
    # A stream that was read: botocore itself would give it to be read, and not as text.
    body = bytearray(reply.body) if operation.model.has_streaming_output else reply.body
    told = {"status_code": 200, "headers": HeadersDict(reply.headers), "body": body}
    theirs = parser.parse(told | {"context": {}}, operation.model.output_shape)
    theirs.pop("ResponseMetadata")
    assert operation.answer(reply) == theirs == members
    if reply.body:
        null = Reply(status=200, headers={}, body=reply.body[:-1] + b', "Item": null}')
        assert "Item" not in operation.answer(null) or "Item" in members
