"""The Pulumi program: which stack is this, what does its file ask for, stamp it."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra import names
from infra.stacks.config import stack_file
from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import check_region
from infra.stacks.config.terms import tiers_asked
from infra.stacks.platform_stack.stack import stamp_platform
from infra.stacks.tenant_stack.stack import stamp_tenant


def main() -> None:
    """Read the stack's file, refuse what is wrong with it, and only then make resources."""
    stack = pulumi.get_stack()
    root = Path(pulumi.get_root_directory())
    file = stack_file.shown(stack)
    kind = "platform" if stack == names.PLATFORM_STACK else "tenant"

    region = pulumi.Config("aws").get("region")
    if not region:
        raise ConfigError(f"{file}: aws:region: missing")
    asked_for = pulumi.Config("cedarfleet").get_object(kind)
    if asked_for is None:
        raise ConfigError(f"{file}: cedarfleet:{kind}: missing")
    # What the engine hands over is JSON: a date that lacks its offset is seen in the file only.
    if (root / file).exists():
        stack_file.load(root, stack)

    if kind == "platform":
        stamp_platform(PlatformConfig.read(file, asked_for, region=region), region=region)
    else:
        check_region(root, file, region)
        stamp_tenant(stack, asked_for, tiers=tiers_asked(root), region=region, root=root)


main()
