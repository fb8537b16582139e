"""Which calls a handler makes, and which tags stand behind a resource."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import DeployCloud, ProcessCloud

TAGGING: Final = re.compile(
    r"(un)?tag_(resource|role|queue|delivery_stream)|(create|delete)_tags|(put|delete)_bucket_tagging"
    r"|(add_tags_to|remove_tags_from)_certificate"
)


@dataclass
class RecordingCloud:
    """A cloud that notes the name of each call that goes to it."""

    cloud: ProcessCloud | DeployCloud
    calls: list[str] = field(default_factory=list[str])

    @property
    def region(self) -> str:
        """The cloud's."""
        return self.cloud.region

    @property
    def account_id(self) -> str:
        """The cloud's."""
        return self.cloud.account_id

    @property
    def endpoint_url(self) -> str:
        """The cloud's."""
        return self.cloud.endpoint_url

    def client(self, service: str, /) -> Any:
        """The cloud's client, listened to."""
        return _Recording(self.cloud.client(service), self.calls)


class _Recording:
    def __init__(self, client: Any, calls: list[str]) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if callable(found) and not name.startswith(("exceptions", "get_paginator")):
            self._calls.append(name)
        return found


def tag_names(cloud: ProcessCloud, one: dict[str, Any]) -> set[str] | None:
    """Names of a resource's tags as they are in the cloud; None where it keeps none."""
    reader = next((_READERS[kind] for kind in _READERS if one["type"].startswith(kind)), None)
    if reader is None:
        return None
    found = reader(cloud, one)
    return {
        each if isinstance(each, str) else each.get("Key") or each.get("TagKey") or each["key"]
        for each in found
    }


def _bucket(cloud: ProcessCloud, one: dict[str, Any]) -> Any:
    try:
        return cloud.client("s3").get_bucket_tagging(Bucket=one["id"])["TagSet"]
    except ClientError:  # none at all
        return []


def _by(service: str, call: str, argument: str, key: str, tags: str) -> Callable[..., Any]:
    """Read by one call, by the id or the ARN of a resource."""

    def read(cloud: ProcessCloud, one: dict[str, Any]) -> Any:
        given = one["id"] if key == "id" else one["outputs"][key]
        return getattr(cloud.client(service), call)(**{argument: given}).get(tags, [])

    return read


_LIST: Final = "list_tags_for_resource"
_READERS: Final[dict[str, Callable[..., Any]]] = {
    "aws:acm/": _by("acm", "list_tags_for_certificate", "CertificateArn", "arn", "Tags"),
    "aws:cloudwatch/metricAlarm": _by("cloudwatch", _LIST, "ResourceARN", "arn", "Tags"),
    "aws:cognito/": _by("cognito-idp", _LIST, "ResourceArn", "arn", "Tags"),
    "aws:dynamodb/": _by("dynamodb", "list_tags_of_resource", "ResourceArn", "arn", "Tags"),
    "aws:ec2/": lambda cloud, one: cloud.client("ec2").describe_tags(
        Filters=[{"Name": "resource-id", "Values": [one["id"]]}]
    )["Tags"],
    "aws:ecr/": _by("ecr", _LIST, "resourceArn", "arn", "tags"),
    "aws:ecs/": _by("ecs", _LIST, "resourceArn", "arn", "tags"),
    "aws:iam/": _by("iam", "list_role_tags", "RoleName", "id", "Tags"),
    "aws:kinesis/": _by(
        "firehose", "list_tags_for_delivery_stream", "DeliveryStreamName", "name", "Tags"
    ),
    "aws:kms/": _by("kms", "list_resource_tags", "KeyId", "id", "Tags"),
    "aws:iot/": _by("iot", _LIST, "resourceArn", "arn", "tags"),
    "aws:cloudwatch/logGroup": _by("logs", _LIST, "resourceArn", "arn", "tags"),
    "aws:s3/": _bucket,
    "aws:sns/": _by("sns", _LIST, "ResourceArn", "arn", "Tags"),
    "aws:sqs/": _by("sqs", "list_queue_tags", "QueueUrl", "id", "Tags"),
    "aws:verifiedpermissions/": _by("verifiedpermissions", _LIST, "resourceArn", "arn", "tags"),
}
