"""The role that provisions a tenant's devices, beside AWS's own policy for the purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra import names
from infra.stacks.tenant_stack import provisioning

if TYPE_CHECKING:
    from tests.infra.conftest import Project

MANAGED = "arn:aws:iam::aws:policy/service-role/AWSIoTThingsRegistration"
# The managed policy has these too; the template asks for none of them.
NOT_PROVISIONED = {
    "iot:AddThingToBillingGroup",
    "iot:AttachPrincipalPolicy",
    "iot:CreateCertificateFromCsr",
    "iot:CreatePolicy",
    "iot:DescribeBillingGroup",
    "iot:DetachPolicy",
    "iot:DetachThingPrincipal",
    "iot:ListAttachedPolicies",
    "iot:ListPolicyPrincipals",
    "iot:ListPrincipalPolicies",
    "iot:ListPrincipalThings",
    "iot:ListTargetsForPolicy",
    "iot:RegisterCertificate",
    "iot:RemoveThingFromBillingGroup",
    "iot:RemoveThingFromThingGroup",
    "iot:UpdateThing",
    "iot:UpdateThingGroupsForThing",
}


def test_provisioning_has_all_of_awss_own_policy_but_for_reasons(
    project: Project,
) -> None:
    """Each action of the managed policy is granted or listed above, and no other is granted."""
    iam = project.cloud.client("iam")
    version = iam.get_policy(PolicyArn=MANAGED)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=MANAGED, VersionId=version)["PolicyVersion"][
        "Document"
    ]
    managed = {action for statement in document["Statement"] for action in statement["Action"]}
    arns = names.Arns(region="eu-central-1", account_id="123456789012")
    ours = provisioning.permissions(tenant="acme", thing_type="cedarfleet-device", arns=arns)
    granted = {action for statement in ours["Statement"] for action in statement["Action"]}

    assert granted.isdisjoint(NOT_PROVISIONED)
    assert granted | NOT_PROVISIONED == managed
