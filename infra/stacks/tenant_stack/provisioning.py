"""How a claim becomes a device of this tenant only: the provisioning template and its role."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.names import Arns


def template_body(*, tenant: str, thing_type: str) -> str:
    """The fleet provisioning template.

    The device names itself by the one parameter `DeviceName`; the tenant's prefix, type, group and
    policy are literals. A claim cannot take over a device that is in service: `FAIL` refuses a
    thing that exists with *other* values, and the attribute `claimed_by`, the id of the new
    certificate, is always another value. A device that is set up anew is deleted by an
    administrator first.

    Not checked here: that `DeviceName` is a device id of ours. A template cannot bound a parameter;
    only a pre-provisioning hook could, and a Lambda in the way of every onboarding costs more than
    it saves. A thing such as `acme--a:b` stays inside its tenant (prefix, group and policy are
    literals), and the service takes it for no device.
    """
    thing: dict[str, Any] = {
        "Type": "AWS::IoT::Thing",
        "OverrideSettings": {
            "AttributePayload": "FAIL",
            "ThingTypeName": "FAIL",
            "ThingGroups": "FAIL",
        },
        "Properties": {
            "ThingName": {"Fn::Join": ["", [names.thing_prefix(tenant), {"Ref": "DeviceName"}]]},
            "ThingTypeName": thing_type,
            "ThingGroups": [names.thing_group(tenant)],
            "AttributePayload": {"claimed_by": {"Ref": "AWS::IoT::Certificate::Id"}},
        },
    }
    certificate = {
        "Type": "AWS::IoT::Certificate",
        "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
    }
    policy = {
        "Type": "AWS::IoT::Policy",
        "Properties": {"PolicyName": names.device_policy(tenant)},
    }
    return json.dumps(
        {
            "Parameters": {
                "DeviceName": {"Type": "String"},
                "AWS::IoT::Certificate::Id": {"Type": "String"},
            },
            "Resources": {"thing": thing, "certificate": certificate, "policy": policy},
        }
    )


def trust(*, tenant: str, arns: Arns) -> iam.Document:
    """IoT Core may assume the role, for this tenant's template only.

    Source: AWS IoT Core developer guide, cross-service confused deputy prevention.
    """
    template = arns.iot(f"provisioningtemplate/{names.provisioning_template(tenant)}")
    return iam.trust("iot.amazonaws.com", arns.account_id, source_arn=template)


def permissions(*, tenant: str, thing_type: str, arns: Arns) -> iam.Document:
    """What provisioning needs, on this tenant's things, groups and policy only.

    AWS's managed policy for it (AWSIoTThingsRegistration) allows these and more on `*`: billing
    groups, replacing the groups or attributes of things, detaching, and making policies, none of
    which the template asks for.
    """
    return iam.document(
        iam.allow(
            "Things",
            [
                "iot:AddThingToThingGroup",
                "iot:CreateThing",
                "iot:DescribeThing",
                "iot:DescribeThingGroup",
                "iot:DescribeThingType",
                "iot:ListThingGroupsForThing",
                "iot:ListThingPrincipals",
            ],
            [
                arns.iot(f"thing/{names.thing_prefix(tenant)}*"),
                arns.iot(f"thinggroup/{names.thing_group(tenant)}"),
                arns.iot(f"thingtype/{thing_type}"),
            ],
        ),
        iam.allow(
            "Certificates",
            [
                "iot:AttachPolicy",
                "iot:DescribeCertificate",
                "iot:GetPolicy",
                "iot:UpdateCertificate",
            ],
            [arns.iot("cert/*"), arns.iot(f"policy/{names.device_policy(tenant)}")],
        ),
        # Neither knows a resource (source: AWS IoT service authorization page): an ARN would match
        # no call.
        iam.allow("Register", ["iot:AttachThingPrincipal", "iot:RegisterThing"], "*"),
    )
