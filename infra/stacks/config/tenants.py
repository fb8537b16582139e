"""Which tenants there are, and what policies and grants their stack files ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from infra import names
from infra.policies.files.bundle import TenantPolicies
from infra.stacks.config.tenant import ConfigError, TenantConfig

if TYPE_CHECKING:
    from pathlib import Path

_STACK_FILE: Final = re.compile(r"Pulumi\.(?P<stack>.+)\.yaml")
_KEY: Final = "cedarfleet:tenant"


def tenants(root: Path) -> list[str]:
    """The ids of the tenants that have a stack file below ``root``, the project's folder."""
    stacks = (_STACK_FILE.fullmatch(path.name) for path in sorted((root / "tenants").iterdir()))
    return [match["stack"] for match in stacks if match and match["stack"] != names.PLATFORM_STACK]


def of_tenant(root: Path, tenant: str) -> TenantPolicies:
    """What the tenant's stack file asks for.

    Raises:
        ConfigError: there is no such file, or it is not of its form.
    """
    path = root / "tenants" / f"Pulumi.{tenant}.yaml"
    shown = path.relative_to(root).as_posix()
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = data["config"][_KEY]
    except FileNotFoundError as error:
        raise ConfigError(
            f"{shown}: no such file; there are: {', '.join(tenants(root)) or 'none'}"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{shown}: `config` must hold `{_KEY}`: {error}") from error
    return from_config(TenantConfig.read(shown, config, tenant=tenant, root=root))


def from_config(config: TenantConfig) -> TenantPolicies:
    """A tenant's policies and grants, out of its whole configuration."""
    return TenantPolicies(
        tenant=config.tenant,
        folder=config.policies,
        grants=config.grants,
        groups=frozenset(config.groups),
        lines=frozenset(config.lines),
    )
