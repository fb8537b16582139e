"""What is asked for of a tenant, checked as a whole before anything of it is made.

Pulumi infers a schema from these annotations too, so they are types and no texts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from infra.policies import PolicyBundle, load
from infra.stacks.config import stack_file
from infra.stacks.config.tenant import TenantConfig
from infra.stacks.config.tenants import check_commands, from_config
from infra.stacks.config.terms import Terms, terms_of, tiers_in

_PROJECT: Final = Path(__file__).parents[3]


class TenantArgs(TypedDict):
    """What is asked for of a tenant."""

    tenant: str
    """Its id, which names of resources bear; it cannot change."""
    config: dict[str, Any]
    """What `cedarfleet:tenant` of a tenant's file says (tenants/tenant.schema.json)."""
    region: str
    """Of the platform, and of the provider that the component is given."""
    platform: pulumi.Input[dict[str, Any]]
    """The outputs of the platform's stack, as a `StackReference` has them."""
    tiers: NotRequired[dict[str, Any]]
    """`tiers` of the platform's file; a tenant that names none needs none."""
    project: NotRequired[str]
    """Folder with `policies/` and `tenants/`; without it the one that this code lies in."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One tenant, as it is to be.

    Attributes:
        tenant: its id.
        config: its file.
        terms: what its tier and its file give it.
        bundle: its policies.
    """

    tenant: str
    config: TenantConfig
    terms: Terms
    bundle: PolicyBundle


def wanted(args: TenantArgs) -> Wanted:
    """Read and check what is asked for.

    Raises:
        ConfigError: file, key and what would be right: of the tenant, its tier, or a command that
            maps to an action that the schema does not have.
        PolicyError: a policy is wrong.
    """
    tenant, root = args["tenant"], Path(args.get("project", _PROJECT))
    config = TenantConfig.read(stack_file.shown(tenant), args["config"], tenant=tenant, root=root)
    terms = terms_of(tenant, config, tiers_in(args.get("tiers", {})))
    bundle = load(root / "policies", from_config(config, tenant=tenant, root=root))
    check_commands(tenant, config, bundle)
    return Wanted(tenant=tenant, config=config, terms=terms, bundle=bundle)
