"""The IoT policy: what a device of the tenant may do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.names import Arns

MAX_CHARACTERS: Final = 2048  # AWS IoT Core quota: policy document, whitespace not counted
_ME: Final = "${iot:Connection.Thing.ThingName}"


def device_policy(*, tenant: str, arns: Arns) -> str:
    """The one literal IoT policy of all of a tenant's devices.

    A device connects under its thing's name, hears its own commands, reports their states, hands
    telemetry to its tenant's rule, and uses its own Jobs and shadow topics. The Resource cannot be
    cut down to the tenant (there is no intersection of a variable and a prefix), so a *condition*
    does: without it a certificate of this policy on another tenant's thing would connect. `+` is
    literal in a policy: right in a topic filter, while topics take `*`.

    Returns:
        JSON without whitespace; the Jobs and shadow topics are not listed one by one, or the quota
        would be exceeded.
    """
    aws_topics = [f"$aws/things/{_ME}/jobs/*", f"$aws/things/{_ME}/shadow/*"]

    def topics(kind: str, ours: str) -> list[str]:
        return [arns.iot(f"{kind}/{topic}") for topic in (ours, *aws_topics)]

    return _compact(
        iam.allow(
            None,
            "iot:Connect",
            arns.iot(f"client/{_ME}"),
            when={
                "Bool": {"iot:Connection.Thing.IsAttached": "true"},
                "StringLike": {"iot:Connection.Thing.ThingName": f"{names.thing_prefix(tenant)}*"},
            },
        ),
        iam.allow(None, "iot:Subscribe", topics("topicfilter", wire.command_filter(_ME))),
        iam.allow(None, "iot:Receive", topics("topic", wire.command_topic(_ME, "*"))),
        iam.allow(
            None,
            "iot:Publish",
            [
                *topics("topic", wire.status_topic(_ME, "*")),
                arns.iot(f"topic/{wire.telemetry_topic(tenant, _ME, '*')}"),
            ],
        ),
    )


def _compact(*statements: iam.Statement) -> str:
    return json.dumps(iam.document(*statements), separators=(",", ":"))
