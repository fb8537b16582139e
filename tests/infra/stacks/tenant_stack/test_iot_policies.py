"""The IoT policies of devices and claims: within AWS's quota, and in the words of the wire."""

from __future__ import annotations

import json
import re

from cedarfleet_device import wire

from infra import names
from infra.stacks.tenant_stack.iot_policies import MAX_CHARACTERS, device_policy

ARNS = names.Arns(region="eu-central-1", account_id="123456789012")
LONGEST = names.Arns(region="ap-southeast-1", account_id="123456789012")
ME = "acme--press-07"
FOREIGN = "acme2--press-07"


def allows(document: str, action: str, resource: str) -> bool:
    """Whether a policy whose variable is `ME` has an Allow for it; conditions are not looked at."""
    for statement in json.loads(document.replace("${iot:Connection.Thing.ThingName}", ME))[
        "Statement"
    ]:
        actions, resources = statement["Action"], statement["Resource"]
        for pattern in [resources] if isinstance(resources, str) else resources:
            matches = re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), ARNS.iot(resource))
            if matches and action in ([actions] if isinstance(actions, str) else actions):
                return True
    return False


def test_a_policy_fits_into_awss_quota() -> None:
    """Also for the longest tenant id and region name."""
    document = device_policy(tenant="t" * 32, arns=LONGEST)

    assert " " not in document
    assert len(document) < MAX_CHARACTERS


def test_a_device_speaks_exactly_the_topics_of_the_wire() -> None:
    """It hears its commands and reports their states; it reaches neither itself nor another."""
    policy = device_policy(tenant="acme", arns=ARNS)
    command, status = wire.command_topic(ME, "c1"), wire.status_topic(ME, "c1")

    assert allows(policy, "iot:Connect", f"client/{ME}")
    assert allows(policy, "iot:Subscribe", f"topicfilter/{wire.command_filter(ME)}")
    assert allows(policy, "iot:Receive", f"topic/{command}")
    assert allows(policy, "iot:Publish", f"topic/{status}")
    assert allows(policy, "iot:Publish", f"topic/$aws/things/{ME}/jobs/start-next")
    assert allows(policy, "iot:Publish", f"topic/{wire.telemetry_topic('acme', ME, 'motor/left')}")

    assert not allows(policy, "iot:Publish", f"topic/{command}")
    assert not allows(policy, "iot:Subscribe", f"topicfilter/{wire.command_filter('+')}")
    assert not allows(policy, "iot:Subscribe", "topicfilter/#")
    assert not allows(policy, "iot:Publish", f"topic/{wire.status_topic(FOREIGN, 'c1')}")
    assert not allows(policy, "iot:Publish", f"topic/$aws/things/{FOREIGN}/jobs/start-next")
    assert not allows(policy, "iot:Publish", "topic/$aws/rules/cedarfleet_command_status")
    for tenant, thing in (("acme", FOREIGN), ("acme2", ME), ("acme2", FOREIGN)):
        foreign = wire.telemetry_topic(tenant, thing, "speed")
        assert not allows(policy, "iot:Publish", f"topic/{foreign}")


def test_only_an_attached_thing_of_the_tenant_connects() -> None:
    """The condition says what the resource cannot: certificate on a thing, thing of the tenant."""
    connect = json.loads(device_policy(tenant="acme", arns=ARNS))["Statement"][0]

    assert connect["Action"] == "iot:Connect"
    assert connect["Condition"] == {
        "Bool": {"iot:Connection.Thing.IsAttached": "true"},
        "StringLike": {"iot:Connection.Thing.ThingName": "acme--*"},
    }
