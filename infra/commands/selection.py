"""Which tenants a command is about: those that are named, all, or those of a tier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra import names
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured, of_tier, tenants

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

BY_ENVIRONMENT: Final = "; AWS or the embedded cloud as AWS_ENDPOINT_URL says"


def add_arguments(
    parser: argparse.ArgumentParser, *, where: str = ""
) -> argparse._MutuallyExclusiveGroup:
    """Give a verb its `TENANT... | --all | --tier X`, of which one is to be there.

    Args:
        parser: of the verb.
        where: what is to be said of where the tenants stand.

    Returns:
        The choice, for whatever else may stand in its place.
    """
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("tenant", nargs="*", default=[], help=f"tenant ids{where}")
    which.add_argument("--all", action="store_true", help="every tenant that has a file")
    which.add_argument("--tier", help="every tenant of this tier")
    return which


def selected(options: argparse.Namespace, root: Path) -> list[str]:
    """The tenants that were named, each once, or all, or those of a tier.

    Raises:
        ConfigError: there are none, one is the platform, or has no file, or a file is not of its
            form: nothing is begun then.
    """
    if options.tier:
        stacks = of_tier(root, options.tier)
        if not stacks:
            raise ConfigError(f"no tenant is of tier `{options.tier}`; nothing is done")
    else:
        stacks = tenants(root) if options.all else list(dict.fromkeys(options.tenant))
    if not stacks:
        raise ConfigError("no tenant is named; `--all` takes every one that has a file")
    known(root, stacks)
    return stacks


def known(root: Path, stacks: Iterable[str]) -> None:
    """See that each is a tenant with a file of its form.

    Raises:
        ConfigError: one is not.
    """
    for stack in stacks:
        if stack == names.PLATFORM_STACK:
            raise ConfigError(f"`{stack}` is the platform: stamp it by itself, before the tenants")
        configured(root, stack)
