"""Every call that a client of botocore can write is read back as that call."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.serialize import create_serializer

from infra.local.cloud.front_door import SERVICES
from infra.local.cloud.limits.requests import MODELS, Request, UnreadableRequestError, read
from infra.local.cloud.limits.shapes import service_model

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

_DEEPEST = 6
_SAMPLES: dict[str, Any] = {
    "string": "abc",
    "integer": 300,
    "long": 300,
    "float": 7.5,
    "double": 7.5,
    "boolean": True,
    "blob": b"abc",
    "timestamp": 1_700_000_000,
}
# On AWS another host tells them apart.
_TWINS = {("s3", "ListDirectoryBuckets")}


def _sample(shape: Shape, depth: int = 0) -> Any:
    """A value with what the shape requires."""
    if isinstance(shape, StructureShape):
        names = shape.required_members if depth < _DEEPEST else []
        return {name: _sample(shape.members[name], depth + 1) for name in names}
    if isinstance(shape, ListShape):
        return [_sample(shape.member, depth + 1)]
    if isinstance(shape, MapShape):
        return {_sample(shape.key, depth + 1): _sample(shape.value, depth + 1)}
    return _SAMPLES[shape.type_name]


def _written(service: str, operation: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    """What botocore sends, as the emulator takes it: method, path, headers, body, query."""
    model = service_model(service)
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)
    sent = serializer.serialize_to_request(parameters, model.operation_model(operation))
    path, _, text = sent["url_path"].partition("?")
    query = parse_qs(text, keep_blank_values=True)
    for name, value in sent["query_string"].items() if sent["query_string"] else ():
        query[name] = value if isinstance(value, list) else [str(value)]
    body = sent["body"]
    body = urlencode(body) if isinstance(body, dict) else body
    body = body.encode() if isinstance(body, str) else body
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    return sent["method"], unquote(path), headers, body, query


@pytest.mark.parametrize("service", sorted(MODELS))
def test_every_operation_is_recognised(service: str) -> None:
    """Of each request that botocore writes for a service, the operation is found."""
    model, missed = service_model(MODELS[service]), []
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        sample = _sample(shape) if shape is not None else {}
        call = read(service, *_written(MODELS[service], operation, sample))
        skipped = model.operation_model(operation).deprecated or (service, operation) in _TWINS
        if not skipped and (call is None or call.operation != operation):
            missed.append((operation, call))
    assert not missed


def test_clients_leave_the_models_as_they_are(embedded_cloud: EmbeddedCloud) -> None:
    """What a client of the same process rewrites in its model is not what requests are read by."""
    s3 = embedded_cloud.client("s3")
    bucket = f"models-{uuid.uuid4().hex}"
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": embedded_cloud.region}
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for service in sorted(MODELS.values()):
        written: Any = Loader().load_service_model(service, "service-2")
        paths = {name: one["http"] for name, one in written["operations"].items()}
        model = service_model(service)
        assert {name: model.operation_model(name).http for name in paths} == paths, service


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        (
            "iot",
            "CreateThing",
            {
                "thingName": "acme--press-07",
                "attributePayload": {"attributes": {"region": "eu"}, "merge": True},
            },
        ),
        ("iot", "CreatePolicyVersion", {"policyName": "p", "policyDocument": "x"}),
        ("iot-data", "Publish", {"topic": "a/b c/d", "qos": 1, "payload": b"\x00{"}),
        ("iot-jobs-data", "GetPendingJobExecutions", {"thingName": "acme--press-07"}),
        (
            "iam",
            "CreateRole",
            {
                "RoleName": "r",
                "AssumeRolePolicyDocument": "{}",
                "MaxSessionDuration": 3600,
                "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}],
            },
        ),
        ("sns", "Publish", {"Message": "m", "TopicArn": "t"}),
        (
            "ec2",
            "CreateVpc",
            {
                "CidrBlock": "10.0.0.0/16",
                "TagSpecifications": [
                    {"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}
                ],
            },
        ),
        ("monitoring", "DescribeAlarms", {"AlarmNames": ["a", "b"], "MaxRecords": 3}),
        (
            "elasticloadbalancing",
            "CreateTargetGroup",
            {"Name": "n", "Port": 80, "Matcher": {"HttpCode": "200"}},
        ),
        ("s3", "UploadPart", {"Bucket": "b", "Key": "a/b c", "PartNumber": 2, "UploadId": "u"}),
        (
            "s3",
            "PutBucketVersioning",
            {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}},
        ),
        ("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"}),
        ("dynamodb", "PutItem", {"TableName": "t", "Item": {"key": {"S": "v"}}}),
    ],
)
def test_parameters_are_read_as_they_were_given(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    """In each protocol: nested members, lists, numbers, flags, tags, payloads, odd paths."""
    call = read(service, *_written(MODELS[service], operation, parameters))

    assert call == Request(service=MODELS[service], operation=operation, parameters=parameters)


def test_every_served_service_is_checked() -> None:
    """Only Verified Permissions, which checks itself, and aliases are not in the table."""
    aliases = {"iotdata", "iotdevicegateway", "verifiedpermissions"}

    assert set(SERVICES) - aliases <= set(MODELS)


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_unreadable_body_is_told(body: bytes) -> None:
    """A body that is no JSON object is no call, and no crash."""
    headers = {"x-amz-target": "DynamoDB_20120810.ListTables"}

    with pytest.raises(UnreadableRequestError):
        read("dynamodb", "POST", "/", headers, body, {})
