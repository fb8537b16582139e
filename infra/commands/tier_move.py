"""`python -m infra tenants move T --tier X`: another tier, up or down, without loss.

What changes is told first, and what the tenant has that the smaller tier lacks stops the command
unless it is accepted. Then the move is noted, the tenant's file is changed, and its stack stamped.
A command that was killed anywhere is repeated, and goes on; an event tells the move once it is so
(docs/adr/0061).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from msgspec import structs

from infra.commands import tier_loss
from infra.commands.file_lines import set_word
from infra.commands.suspension import SuspensionError
from infra.commands.tier_moves import TierMoves
from infra.stacks.config import stack_file
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured
from infra.stacks.config.terms import beyond, terms_of, tiers_of
from infra.stacks.config.tiers import Rate, Tier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from infra.commands.account import Account
    from infra.commands.tier_loss import Loss
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.terms import Terms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of the verb its arguments, beside those of a run over stacks."""
    parser.add_argument("tenant", help="tenant id")
    parser.add_argument("--tier", required=True, help="one of the platform's file")
    parser.add_argument(
        "--accept", action="store_true", help="also if the tenant has what the tier lacks"
    )
    parser.add_argument(
        "--preview", action="store_true", help="say what would change, and change nothing"
    )


def begin(options: argparse.Namespace, *, root: Path, account: Account) -> bool:
    """Tell, refuse or note the move, and put it into the tenant's file.

    Returns:
        Whether the stack is to be stamped.

    Raises:
        ConfigError: there is no such tenant or tier, the tenant's file asks for more than the tier
            has, or the tenant has what the tier lacks and nobody accepted that; nothing is changed.
        FileStyleError: the file's line cannot be set; nothing else is changed.
        botocore.exceptions.ClientError: AWS refused.
    """
    tenant, to = str(options.tenant), str(options.tier)
    config, tiers = configured(root, tenant), tiers_of(root)
    before = terms_of(tenant, config, tiers)
    if to not in tiers:
        known = ", ".join(f"`{name}`" for name in tiers) or "none"
        raise ConfigError(f"--tier: `{to}` is no tier of the platform's file; there are: {known}")
    moves = TierMoves(account)
    under_way = moves.of(tenant)
    if under_way is not None and under_way.to == to:
        _say(f"{tenant}: goes on with the move to `{to}` that began at {under_way.began_at}")
        if not options.preview:
            set_word(root, tenant, "tier", to)
        return not options.preview
    if before.tier == to:
        _say(
            f"{tenant}: is of tier `{to}` already; `tenants up {tenant}` stamps what its file says"
        )
        return False
    after = _terms_in(tenant, config, to, tiers)
    loss = _tell(account, tenant, before, after)
    if options.preview:
        return False
    if loss and not options.accept:
        raise ConfigError(f"{tenant} has what `{to}` lacks; nothing is changed without --accept")
    came_from = before.tier if under_way is None else under_way.came_from
    moves.begin(tenant, came_from=came_from, to=to)
    set_word(root, tenant, "tier", to)
    return True


def _terms_in(tenant: str, config: TenantConfig, to: str, tiers: Mapping[str, Tier]) -> Terms:
    if more := beyond(config, tiers[to]):
        lines = "".join(f"\n  {key}: `{to}` {words}" for key, words in more)
        file = stack_file.shown(tenant)
        raise ConfigError(f"{file} asks for more than the tier has; nothing is changed:{lines}")
    return terms_of(tenant, structs.replace(config, tier=to), tiers)


def _tell(account: Account, tenant: str, before: Terms, after: Terms) -> Loss:
    _say(f"{tenant}: {before.tier or 'no tier'} -> {after.tier}")
    for line in changes(before.within, after.within):
        _say(f"  {line}")
    bucket, now = _bucket(account, tenant), tier_loss.now()
    loss = tier_loss.of(account, tenant, bucket, before=before.within, after=after.within, now=now)
    for what in loss.forgotten:
        _say(f"  is deleted within days: {what}")
    for what in loss.closed:
        _say(f"  stays and works, and no other can be made: {what}")
    return loss


def changes(before: Tier, after: Tier) -> Iterator[str]:
    """What becomes otherwise, a line each, by the keys of a tier."""
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    for key, value in new.items():
        if key != "description" and old[key] != value:
            yield f"{key}: {old[key]} -> {value}"


def _bucket(account: Account, tenant: str) -> str:
    try:
        return str(account.tenant(tenant).row["bucket"]["S"])
    except SuspensionError as error:
        raise ConfigError(
            f"{error}: name its tier in {stack_file.shown(tenant)}, and stamp it"
        ) from error


def _leaves(where: str, value: Any) -> Iterator[tuple[str, str]]:
    for key in value.__struct_fields__:
        inner, path = getattr(value, key), f"{where}.{key}" if where else key
        if isinstance(inner, Rate):
            yield path, f"{inner.per_second} a second, {inner.burst} at once"
        elif hasattr(inner, "__struct_fields__"):
            yield from _leaves(path, inner)
        elif isinstance(inner, tuple):
            yield path, ", ".join(sorted(inner)) or "none"
        else:
            yield path, "none" if inner is None else str(inner).lower()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
