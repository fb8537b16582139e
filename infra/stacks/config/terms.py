"""What a tenant gets: the terms of its tier, and what its own file asks for within them.

A file may ask for less of what costs (a smaller budget, a shorter retention), and for a stricter
sign-in. What goes beyond the tier is refused by key, before anything is made (docs/adr/0061).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, structs

from infra import names
from infra.stacks.config import stack_file
from infra.stacks.config.limits import TIERS, TierName
from infra.stacks.config.reading import ConfigError, read
from infra.stacks.config.tiers import Budget, Rate, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.stacks.config.limits import Mfa
    from infra.stacks.config.tenant import TenantConfig

Tiers = Annotated[dict[TierName, Tier], Meta(max_length=TIERS)]
DAYS: Final = ("artifact_days", "telemetry_days", "device_log_days")
_STRICTNESS: Final[tuple[Mfa, ...]] = ("off", "optional", "on")
_PLATFORM: Final = "cedarfleet:platform"
_TENANT: Final = "cedarfleet:tenant"


class _OfPlatform(msgspec.Struct, frozen=True):
    """That part of the platform's file which a tenant's stack reads."""

    tiers: Tiers


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant gets.

    Attributes:
        tier: its name; none: the tenant's file names none.
        within: all of the tier, with what the tenant's own file says in its place.
    """

    tier: str | None
    within: Tier


def tiers_of(root: Path) -> dict[str, Tier]:
    """The tiers of the platform's file; none where there is no such file.

    Raises:
        ConfigError: one is not of its form.
    """
    return tiers_in(tiers_asked(root))


def tiers_asked(root: Path) -> Any:
    """What the platform's file says of tiers, as it stands there."""
    try:
        document = stack_file.load(root, names.PLATFORM_STACK)
    except FileNotFoundError:
        return {}
    asked: Any = document.get(_PLATFORM)
    return cast("dict[str, Any]", asked).get("tiers", {}) if isinstance(asked, dict) else {}


def tiers_in(found: Any) -> dict[str, Tier]:
    """The tiers that something like the platform's file says.

    Raises:
        ConfigError: one is not of its form.
    """
    where = f"{stack_file.shown(names.PLATFORM_STACK)}: {_PLATFORM}"
    return read(_OfPlatform, where, {"tiers": found}).tiers


def terms_of(tenant: str, config: TenantConfig, tiers: Mapping[str, Tier]) -> Terms:
    """What a tenant gets of what its file asks for.

    Args:
        tenant: its id, for messages.
        config: its file.
        tiers: of the platform.

    Raises:
        ConfigError: there is no such tier, or the file asks for more than it has.
    """
    where = f"{stack_file.shown(tenant)}: {_TENANT}"
    if config.tier is None:
        return Terms(tier=None, within=_with(Tier(), config))
    tier = tiers.get(config.tier)
    if tier is None:
        known = ", ".join(f"`{name}`" for name in tiers) or "none"
        raise ConfigError(
            f"{where}.tier: `{config.tier}` is no tier of "
            f"{stack_file.shown(names.PLATFORM_STACK)}; there are: {known}"
        )
    for key, words in beyond(config, tier):
        raise ConfigError(f"{where}.{key}: tier `{config.tier}` {words}")
    return Terms(tier=config.tier, within=_with(tier, config))


def beyond(config: TenantConfig, tier: Tier) -> list[tuple[str, str]]:
    """What a tenant's file asks for that a tier does not have: each key, and what the tier has."""
    found: list[tuple[str, str]] = []
    for budget, rate in _rates(config).items():
        most: Rate = getattr(tier.budget, budget)
        for key, asked in structs.asdict(rate).items():
            has = getattr(most, key)
            if asked > has:
                found.append((f"budget.{budget}.{key}", f"has at most {has}, is `{asked}`"))
    for key in DAYS:
        asked, has = getattr(config, key), getattr(tier, key)
        if asked is not None and asked > has:
            found.append((key, f"keeps for at most {has} days, is `{asked}`"))
    mfa = config.sign_in.mfa
    if mfa is not None and _STRICTNESS.index(mfa) < _STRICTNESS.index(tier.mfa):
        found.append(("sign_in.mfa", f"asks for at least `{tier.mfa}`, is `{mfa}`"))
    if config.machines and "machines" not in tier.features:
        found.append(("machines", "has no machines"))
    return found


def _rates(config: TenantConfig) -> dict[str, Rate]:
    asked = {name: getattr(config.budget, name) for name in config.budget.__struct_fields__}
    return {name: rate for name, rate in asked.items() if rate is not None}


def _with(tier: Tier, config: TenantConfig) -> Tier:
    own: dict[str, Any] = {key: days for key in DAYS if (days := getattr(config, key)) is not None}
    if config.sign_in.mfa is not None:
        own["mfa"] = config.sign_in.mfa
    budget: Budget = structs.replace(tier.budget, **_rates(config))
    return structs.replace(tier, budget=budget, **own)
