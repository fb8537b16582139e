"""EC2: security groups and their rules."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.ec2 import retag
from infra.local.resources.tags import pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class SecurityGroup(Handler):
    """`aws.ec2.SecurityGroup` without rules of its own."""

    replace_on = frozenset({"name", "description", "vpcId"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateSecurityGroup, without the rule that lets everything out, as pulumi-aws does."""
        client = cloud.client("ec2")
        tags = [{"ResourceType": "security-group", "Tags": pairs(inputs)}] if pairs(inputs) else []
        group_id = client.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            **({"TagSpecifications": tags} if tags else {}),
        )["GroupId"]
        group = client.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
        if out := group.get("IpPermissionsEgress"):
            client.revoke_security_group_egress(GroupId=group_id, IpPermissions=out)
        arn = f"arn:aws:ec2:{cloud.region}:{cloud.account_id}:security-group/{group_id}"
        return Made(group_id, {**inputs, "arn": arn, "ownerId": cloud.account_id})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags change in place."""
        retag(cloud.client("ec2"), id, old, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeSecurityGroups."""
        answer = unless_absent(cloud.client("ec2").describe_security_groups, GroupIds=[id])
        return outputs if answer and answer["SecurityGroups"] else None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteSecurityGroup."""
        del outputs
        with absent_is_fine():
            cloud.client("ec2").delete_security_group(GroupId=id)


class SecurityGroupRule(Handler):
    """`aws.vpc.SecurityGroupIngressRule` and `...EgressRule`: one rule.

    Args:
        way: `ingress` or `egress`.
    """

    replace_on = frozenset(
        {
            "securityGroupId",
            "cidrIpv4",
            "fromPort",
            "toPort",
            "ipProtocol",
            "referencedSecurityGroupId",
        }
    )
    delete_before_replace = True
    taggable = True

    def __init__(self, way: str) -> None:
        self._way = way

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """AuthorizeSecurityGroupIngress or -Egress."""
        answer = getattr(cloud.client("ec2"), f"authorize_security_group_{self._way}")(
            GroupId=inputs["securityGroupId"], IpPermissions=[_permission(inputs)]
        )
        rules = answer.get("SecurityGroupRules") or []
        made = (
            rules[0]["SecurityGroupRuleId"]
            if rules
            else f"sgr-{inputs['securityGroupId']}-{inputs['fromPort']}"
        )
        return Made(made, {**inputs, "securityGroupRuleId": made})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags change in place, and the embedded cloud keeps none on rules."""
        del cloud, id
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Whether the group still has this rule: ports, protocol and who is at its other end."""
        del id
        answer = unless_absent(
            cloud.client("ec2").describe_security_groups, GroupIds=[outputs["securityGroupId"]]
        )
        groups = answer["SecurityGroups"] if answer else []
        key = "IpPermissions" if self._way == "ingress" else "IpPermissionsEgress"
        wanted = _permission(outputs)
        found = [rule for group in groups for rule in group.get(key, [])]
        return outputs if any(_is_of(wanted, rule) for rule in found) else None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """RevokeSecurityGroupIngress or -Egress."""
        del id
        with absent_is_fine():
            getattr(cloud.client("ec2"), f"revoke_security_group_{self._way}")(
                GroupId=outputs["securityGroupId"], IpPermissions=[_permission(outputs)]
            )


def _permission(inputs: dict[str, Any]) -> dict[str, Any]:
    permission: dict[str, Any] = {
        "IpProtocol": inputs["ipProtocol"],
        "FromPort": inputs["fromPort"],
        "ToPort": inputs["toPort"],
    }
    if "cidrIpv4" in inputs:
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"]}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"]}]
    return permission


def _is_of(wanted: dict[str, Any], rule: dict[str, Any]) -> bool:
    """Whether a rule, which may be of several ends, is of the one that is wanted too."""
    same = all(wanted[key] == rule.get(key) for key in ("IpProtocol", "FromPort", "ToPort"))
    ranges = {each["CidrIp"] for each in rule.get("IpRanges", [])}
    groups = {each["GroupId"] for each in rule.get("UserIdGroupPairs", [])}
    return (
        same
        and ranges >= {each["CidrIp"] for each in wanted.get("IpRanges", [])}
        and groups >= {each["GroupId"] for each in wanted.get("UserIdGroupPairs", [])}
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:ec2/securityGroup:SecurityGroup": SecurityGroup(),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": SecurityGroupRule("ingress"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": SecurityGroupRule("egress"),
}
