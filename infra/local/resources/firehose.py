"""Firehose: streams that write what they are given into a bucket."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

_S3: Final = "extendedS3Configuration"
# Pulumi's name of a setting -> AWS's.
_SETTINGS: Final = {
    "roleArn": "RoleARN",
    "bucketArn": "BucketARN",
    "prefix": "Prefix",
    "errorOutputPrefix": "ErrorOutputPrefix",
}
_HINTS: Final = {"bufferingInterval": "IntervalInSeconds", "bufferingSize": "SizeInMBs"}


class DeliveryStream(Handler):
    """`aws.kinesis.FirehoseDeliveryStream` into S3; its id is its ARN."""

    replace_on = frozenset({"name", "destination"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateDeliveryStream."""
        if inputs["destination"] != "extended_s3":
            raise ValueError(f"the embedded cloud knows no destination `{inputs['destination']}`")
        tags = [{"Key": key, "Value": value} for key, value in inputs.get("tags", {}).items()]
        arn = cloud.client("firehose").create_delivery_stream(
            DeliveryStreamName=inputs["name"],
            DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration=_written(inputs[_S3]),
            **({"Tags": tags} if tags else {}),
        )["DeliveryStreamARN"]
        return Made(arn, {**inputs, "arn": arn})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateDestination, and the tags."""
        del id
        client, name = cloud.client("firehose"), inputs["name"]
        if differ(old, inputs, _S3):
            known = client.describe_delivery_stream(DeliveryStreamName=name)
            described = known["DeliveryStreamDescription"]
            client.update_destination(
                DeliveryStreamName=name,
                CurrentDeliveryStreamVersionId=described["VersionId"],
                DestinationId=described["Destinations"][0]["DestinationId"],
                ExtendedS3DestinationUpdate=_written(inputs[_S3]),
            )
        if tags := inputs.get("tags"):
            given = [{"Key": key, "Value": value} for key, value in tags.items()]
            client.tag_delivery_stream(DeliveryStreamName=name, Tags=given)
        if gone := changed(old, inputs):
            client.untag_delivery_stream(DeliveryStreamName=name, TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeDeliveryStream; what somebody else has changed shows."""
        name = id.rpartition("/")[2]
        answer = unless_absent(
            cloud.client("firehose").describe_delivery_stream, DeliveryStreamName=name
        )
        if answer is None:
            return None
        described = answer["DeliveryStreamDescription"]
        now = described["Destinations"][0]["ExtendedS3DestinationDescription"]
        hints = now["BufferingHints"]
        found = {key: now[member] for key, member in _SETTINGS.items() if member in now}
        found |= {key: hints[member] for key, member in _HINTS.items() if member in hints}
        known = outputs.get(_S3, {})
        return {
            **outputs,
            "arn": id,
            "name": name,
            _S3: {**known, **{key: found[key] for key in found if key in known or not known}},
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteDeliveryStream."""
        del outputs
        with absent_is_fine():
            cloud.client("firehose").delete_delivery_stream(
                DeliveryStreamName=id.rpartition("/")[2]
            )


def _written(settings: dict[str, Any]) -> dict[str, Any]:
    if unknown := settings.keys() - _SETTINGS.keys() - _HINTS.keys() - {"__defaults"}:
        raise ValueError(f"the embedded cloud knows no {', '.join(sorted(unknown))} of a stream")
    hints = {member: settings[key] for key, member in _HINTS.items() if key in settings}
    written = {member: settings[key] for key, member in _SETTINGS.items() if key in settings}
    return written | ({"BufferingHints": hints} if hints else {})


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": DeliveryStream()
}
