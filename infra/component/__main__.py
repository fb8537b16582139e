"""Pulumi's plugin `cedarfleet`: the component of a tenant, for programs in any language."""

from __future__ import annotations

from pulumi.provider.experimental import component_provider_host

from infra.stacks.tenant_stack.component import Tenant

if __name__ == "__main__":
    component_provider_host(name="cedarfleet", components=[Tenant])
