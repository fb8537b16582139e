"""What a device of the tenant, and a claim that becomes one, may do at the message broker: two IoT policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from infra import names

if TYPE_CHECKING:
    from infra.names import Arns

MAX_CHARACTERS: Final = 2048  # AWS IoT Core quota: policy document, whitespace not counted
_ME: Final = "${iot:Connection.Thing.ThingName}"


def device_policy(*, tenant: str, arns: Arns) -> str:
    """The one literal IoT policy of all of a tenant's devices.

    A device connects under its thing's name, hears its own commands, reports their states, and uses its own Jobs and
    shadow topics. The Resource cannot be cut down to the tenant (there is no intersection of a variable and a prefix),
    so a *condition* does: without it a certificate of this policy on another tenant's thing would connect.
    `+` is literal in a policy: right in a topic filter, while topics take `*`.

    Returns:
        JSON without whitespace; the Jobs and shadow topics are not listed one by one, or the quota would be exceeded.
    """
    aws_topics = [f"$aws/things/{_ME}/jobs/*", f"$aws/things/{_ME}/shadow/*"]
    return _compact(
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": arns.iot(f"client/{_ME}"),
            "Condition": {
                "Bool": {"iot:Connection.Thing.IsAttached": "true"},
                "StringLike": {"iot:Connection.Thing.ThingName": f"{names.thing_prefix(tenant)}*"},
            },
        },
        {
            "Effect": "Allow",
            "Action": "iot:Subscribe",
            "Resource": [
                arns.iot(f"topicfilter/{topic}")
                for topic in (wire.command_filter(_ME), *aws_topics)
            ],
        },
        {
            "Effect": "Allow",
            "Action": "iot:Receive",
            "Resource": [
                arns.iot(f"topic/{topic}") for topic in (wire.command_topic(_ME, "*"), *aws_topics)
            ],
        },
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": [
                arns.iot(f"topic/{topic}") for topic in (wire.status_topic(_ME, "*"), *aws_topics)
            ],
        },
    )


def claim_policy(*, tenant: str, arns: Arns) -> str:
    """What a claim certificate of the tenant may do: ask for a certificate, and provision by the tenant's template.

    For claims that are made by hand for an assembly line; those of CreateProvisioningClaim carry AWS's own policy.
    The client id holds a `:`, which no thing name of ours does, so a claim can never take over a device's connection.
    """
    topics = [
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        f"$aws/provisioning-templates/{names.provisioning_template(tenant)}/provision/*",
    ]
    return _compact(
        {
            "Effect": "Allow",
            "Action": "iot:Connect",
            "Resource": arns.iot(f"client/claim:{tenant}:*"),
        },
        {
            "Effect": "Allow",
            "Action": ["iot:Publish", "iot:Receive"],
            "Resource": [arns.iot(f"topic/{topic}") for topic in topics],
        },
        {
            "Effect": "Allow",
            "Action": "iot:Subscribe",
            "Resource": [arns.iot(f"topicfilter/{topic}") for topic in topics],
        },
    )


def _compact(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
