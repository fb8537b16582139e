"""Who calls a cloud of this process: devices, and clients that try once."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tests.certificates import certified
from tests.infra.local.cloud.corrections.probes.raw_mqtt import RawDevice

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud

_ALL = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A thing, its active certificate, and the policy that lets it do everything."""

    thing: str
    policy: str
    certificate_id: str
    certificate: str
    key: str


def identity(cloud: EmbeddedCloud) -> Identity:
    """A new one."""
    iot, thing = cloud.client("iot"), f"thing-{uuid.uuid4().hex[:8]}"
    iot.create_policy(
        policyName=f"all-{thing}",
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [_ALL]}),
    )
    iot.create_thing(thingName=thing)
    made = certified(iot)
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    iot.attach_policy(policyName=f"all-{thing}", target=made["certificateArn"])
    return Identity(
        thing=thing,
        policy=f"all-{thing}",
        certificate_id=made["certificateId"],
        certificate=made["certificatePem"],
        key=made["keyPair"]["PrivateKey"],
    )


def plugged(cloud: EmbeddedCloud, device: Identity, *, host: str = "localhost") -> RawDevice:
    """A connection that has not said CONNECT yet, to a name that the broker is dialled by."""
    return RawDevice(
        port=cloud.mqtt_port,
        ca_file=cloud.ca_file,
        certificate=device.certificate,
        key=device.key,
        host=host,
    )


def plain(cloud: EmbeddedCloud, service: str) -> Any:
    """A client that tries once."""
    environment = cloud.environment()
    return boto3.Session(region_name=cloud.region).client(
        service,  # pyright: ignore[reportCallIssue, reportArgumentType] - known at run time
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 0}),
    )
