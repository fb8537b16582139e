"""Which tenants there are, and what policies and grants their stack files ask for."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from infra import names
from infra.policies import Grant, TenantPolicies
from infra.policies.files.vocabulary import NAMESPACE, told
from infra.stacks.config import stack_file
from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenant import TenantConfig
from infra.stacks.config.terms import terms_of, tiers_of
from service.domain.permissions import COMMANDING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.policies import PolicyBundle

_STACK_FILE: Final = re.compile(r"Pulumi\.(?P<stack>.+)\.yaml")
_KEY: Final = "cedarfleet:tenant"


def tenants(root: Path) -> list[str]:
    """The ids of the tenants that have a stack file below ``root``, the project's folder."""
    stacks = (_STACK_FILE.fullmatch(path.name) for path in sorted((root / "tenants").iterdir()))
    return [match["stack"] for match in stacks if match and match["stack"] != names.PLATFORM_STACK]


def of_tier(root: Path, tier: str) -> list[str]:
    """The ids of the tenants whose files name a tier.

    Raises:
        ConfigError: there is no such tier, or a file is not of its form.
    """
    if tier not in (known := tiers_of(root)):
        named = ", ".join(f"`{one}`" for one in known) or "none"
        raise ConfigError(f"--tier: `{tier}` is no tier of the platform's file; there are: {named}")
    return [tenant for tenant in tenants(root) if configured(root, tenant).tier == tier]


def of_tenant(root: Path, tenant: str) -> TenantPolicies:
    """What the tenant's stack file asks for of policies.

    Raises:
        ConfigError: there is no such file, or it is not of its form.
    """
    return from_config(configured(root, tenant), tenant=tenant, root=root)


def configured(root: Path, tenant: str) -> TenantConfig:
    """All that the tenant's stack file asks for.

    Raises:
        ConfigError: there is no such file, it is not of its form, or it goes beyond its tier.
    """
    file = stack_file.shown(tenant)
    try:
        document = stack_file.load(root, tenant)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file}: no such file; there are: {', '.join(tenants(root)) or 'none'}"
        ) from error
    if _KEY not in document:
        raise ConfigError(f"{file}: `config` must hold `{_KEY}`")
    asked_for = TenantConfig.read(file, document[_KEY], tenant=tenant, root=root)
    terms_of(tenant, asked_for, tiers_of(root))
    check_region(root, file, document.get(stack_file.REGION))
    return asked_for


def region(root: Path, tenant: str) -> str:
    """The AWS region that the tenant's file names; `of_tenant` has seen that it does."""
    return str(stack_file.load(root, tenant)[stack_file.REGION])


def check_region(root: Path, file: str, named: object) -> None:
    """See that a tenant's file names the region of the platform's, if that has a file.

    What is deployed is compared too, once it is known (`infra/stacks/outputs.py`); this is told
    before anything runs.

    Raises:
        ConfigError: it names another, or none.
    """
    try:
        platforms = stack_file.load(root, names.PLATFORM_STACK).get(stack_file.REGION)
    except FileNotFoundError:
        return
    if named is None:
        raise ConfigError(f"{file}: {stack_file.REGION}: missing")
    if platforms is not None and named != platforms:
        raise ConfigError(
            f"{file}: {stack_file.REGION}: must be the platform's region `{platforms}`, "
            f"is `{named}`"
        )


def check_commands(tenant: str, config: TenantConfig, bundle: PolicyBundle) -> None:
    """See that each command of a tenant's file needs an action that a command may.

    Raises:
        ConfigError: one needs another; nobody could ever send it.
    """
    actions: set[str] = set(json.loads(bundle.schema_json)[NAMESPACE]["actions"])
    for command, action in config.commands.items():
        if action not in actions & COMMANDING:
            why = "is no action of a command" if action in actions else "is no action"
            raise ConfigError(
                f"{stack_file.shown(tenant)}: {_KEY}.commands.{command}: `{action}` {why}"
                f"{told(action, COMMANDING, has='there are')}"
            )


def stray(root: Path) -> Iterator[str]:
    """Says of what stands in `tenants/`, and in its files, that nobody would read it.

    A forbid in a folder that no file names would silently not be there.
    """
    folder = root / "tenants"
    files = [path for path in sorted(folder.iterdir()) if path.name.startswith("Pulumi.")]
    for path in files:
        shown = f"tenants/{path.name}"
        if _STACK_FILE.fullmatch(path.name) is None:
            yield f"{shown}: nobody reads it: the name of a stack's file is Pulumi.<stack>.yaml"
    stacks = [match["stack"] for path in files if (match := _STACK_FILE.fullmatch(path.name))]
    named: set[Path] = set()
    for stack in stacks:
        try:
            yield from stack_file.unknown_keys(root, stack)
            if stack != names.PLATFORM_STACK and (of := configured(root, stack).policies):
                named.add((folder / of).resolve())
        except ConfigError:  # said elsewhere
            named.add((folder / stack / "policies").resolve())
    for found in sorted({path.parent for path in folder.glob("*/policies/*")}):
        if found.resolve() not in named:
            shown = found.relative_to(folder).as_posix()
            file = stack_file.shown(found.parent.name)
            yield f"tenants/{shown}: no tenant has these policies: {file} lacks `policies: {shown}`"


def platform_problems(root: Path) -> Iterator[str]:
    """Says what is wrong with the platform's file, and of tenants that name another cell."""
    file, key = stack_file.shown(names.PLATFORM_STACK), "cedarfleet:platform"
    try:
        document = stack_file.load(root, names.PLATFORM_STACK)
        if lacks := [one for one in (stack_file.REGION, key) if one not in document]:
            yield f"{file}: `config` must hold `{lacks[0]}`"
            return
        region = str(document[stack_file.REGION])
        platform = PlatformConfig.read(file, document[key], region=region)
    except FileNotFoundError:
        yield f"{file}: no such file"
        return
    except ConfigError as error:
        yield str(error)
        return
    for index, tenant in enumerate(platform.isolation_canary or ()):
        if tenant not in (known := tenants(root)):
            has = told(tenant, known, has="there are")
            yield f"{file}: {key}.isolation_canary[{index}]: `{tenant}` has no file{has}"
    for tenant in tenants(root):
        with suppress(ConfigError):  # said elsewhere
            if (cell := configured(root, tenant).cell) != platform.cell:
                yield (
                    f"{stack_file.shown(tenant)}: {_KEY}.cell: the platform of {file} is cell "
                    f"`{platform.cell}`, the file asks for `{cell}`"
                )


def prefixes_twice(root: Path) -> Iterator[str]:
    """Says of each tenant whose sign-in page has another one's name that it cannot be made.

    Files that are not of their form are passed over: what is wrong with them is said elsewhere.
    """
    first: dict[str, str] = {}
    for tenant in tenants(root):
        try:
            prefix = configured(root, tenant).sign_in.domain_prefix
        except ConfigError:
            continue
        if prefix in first:
            yield (
                f"{stack_file.shown(tenant)}: {_KEY}.sign_in.domain_prefix: `{prefix}` is that of "
                f"{first[prefix]}; a sign-in page has a name of its own, one in the world"
            )
        first.setdefault(prefix, tenant)


def from_config(config: TenantConfig, *, tenant: str, root: Path) -> TenantPolicies:
    """A tenant's policies and grants, out of its whole configuration."""
    return TenantPolicies(
        tenant=tenant,
        folder=config.policies_folder(root),
        grants=tuple(
            Grant(
                id=grant.id,
                template=grant.template,
                principal=grant.principal,
                resource=grant.resource,
                until=grant.until,
            )
            for grant in config.grants
        ),
        groups=frozenset(config.groups),
        lines=frozenset(config.lines),
        lists={
            "commands": frozenset(config.commands),
            "groups": frozenset(config.groups),
            "kinds": frozenset(config.kinds),
            "regions": frozenset(config.regions),
            "tags": frozenset(config.tags),
        },
    )
