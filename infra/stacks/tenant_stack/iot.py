"""The tenant's devices in IoT Core: group, policies, and the template of their identities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.tenant_stack import iot_policies, provisioning

if TYPE_CHECKING:
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.outputs import PlatformOutputs


@dataclass(frozen=True, kw_only=True)
class IotArgs:
    """The tenant, what the file says of regions, and the platform's type and account."""

    tenant: str
    config: TenantConfig
    platform: PlatformOutputs


class Iot(pulumi.ComponentResource):
    """Thing group of all devices, two policies, provisioning template with its role.

    The lines of the tenant's file are no thing groups: which devices are in them is a fact of the
    devices table, and a thing could be in ten groups at most (source: AWS IoT Core quotas).
    """

    thing_group: pulumi.Output[str]
    template: pulumi.Output[str]

    def __init__(
        self, name: str, args: IotArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Fleet", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        root = aws.iot.ThingGroup(
            f"{name}-devices",
            name=names.thing_group(args.tenant),
            properties={
                "description": f"all devices of {args.tenant}",
                "attribute_payload": {
                    "attributes": {"tenant": args.tenant, "regions": ",".join(args.config.regions)}
                },
            },
            opts=self._child,
        )
        devices = aws.iot.Policy(
            f"{name}-device",
            name=names.device_policy(args.tenant),
            policy=args.platform.arns.apply(
                lambda arns: iot_policies.device_policy(tenant=args.tenant, arns=arns)
            ),
            opts=self._child,
        )
        aws.iot.Policy(
            f"{name}-claim",
            name=names.claim_policy(args.tenant),
            policy=args.platform.arns.apply(
                lambda arns: iot_policies.claim_policy(tenant=args.tenant, arns=arns)
            ),
            opts=self._child,
        )
        self.thing_group = root.name
        self.template = self._template(name, args, [root, devices])
        self.register_outputs({"thing_group": self.thing_group, "template": self.template})

    def _template(
        self, name: str, args: IotArgs, after: list[pulumi.Resource]
    ) -> pulumi.Output[str]:
        role = aws.iam.Role(
            f"{name}-provisioning",
            name=names.provisioning_role(args.tenant),
            description=f"IoT Core makes things of {args.tenant}",
            assume_role_policy=args.platform.arns.apply(
                lambda arns: json.dumps(provisioning.trust(tenant=args.tenant, arns=arns))
            ),
            opts=self._child,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-provisioning",
            name="provision",
            role=role.name,
            policy=pulumi.Output.all(args.platform.arns, args.platform.thing_type).apply(
                lambda known: json.dumps(
                    provisioning.permissions(tenant=args.tenant, arns=known[0], thing_type=known[1])
                )
            ),
            opts=self._child,
        )
        template = aws.iot.ProvisioningTemplate(
            f"{name}-provisioning",
            name=names.provisioning_template(args.tenant),
            description=f"devices of {args.tenant}"[:500],
            enabled=True,
            provisioning_role_arn=role.arn,
            template_body=args.platform.thing_type.apply(
                lambda thing_type: provisioning.template_body(
                    tenant=args.tenant, thing_type=thing_type
                )
            ),
            # Changed in place it would gain a version each time, and AWS refuses the sixth, since
            # the provider deletes none (source: AWS IoT Core quotas, fleet provisioning). Its name
            # is fixed, so the old one goes first.
            opts=pulumi.ResourceOptions.merge(
                self._child,
                pulumi.ResourceOptions(
                    depends_on=[*after, grant],
                    replace_on_changes=["templateBody"],
                    delete_before_replace=True,
                ),
            ),
        )
        return template.name
