"""The tenant's devices in IoT Core: their one group and their one policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.tenant_stack import iot_policies

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
    """Thing group of all devices, and the policy of each.

    Who lets a device in is the service, by the tenant's role: nothing of it stands here (ADR 0019).

    The lines of the tenant's file are no thing groups: which devices are in them is a fact of the
    devices table, and a thing could be in ten groups at most (source: AWS IoT Core quotas).
    """

    thing_group: pulumi.Output[str]

    def __init__(
        self, name: str, args: IotArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Fleet", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        root = aws.iot.ThingGroup(
            f"{name}-devices",
            name=names.thing_group(args.tenant),
            properties={
                "description": f"all devices of {args.tenant}",
                "attribute_payload": {
                    "attributes": {"tenant": args.tenant, "regions": ",".join(args.config.regions)}
                },
            },
            opts=child,
        )
        aws.iot.Policy(
            f"{name}-device",
            name=names.device_policy(args.tenant),
            policy=args.platform.arns.apply(
                lambda arns: iot_policies.device_policy(tenant=args.tenant, arns=arns)
            ),
            opts=child,
        )
        self.thing_group = root.name
        self.register_outputs({"thing_group": self.thing_group})
