"""`python -m infra tenants move T --tier X`: another tier, up or down, without loss.

What changes is told first, and what the tenant has that the smaller tier lacks stops the command
unless it is accepted. Then the move is noted, the tenant's file is changed, and its stack stamped.
A command that was killed anywhere is repeated, and goes on; an event tells the move once it is so
(docs/adr/0061).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from msgspec import structs

from infra.commands import terms_change
from infra.commands.file_lines import set_word
from infra.commands.tier_moves import TierMoves
from infra.stacks.config import stack_file
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import configured
from infra.stacks.config.terms import beyond, terms_of, tiers_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

    from infra.commands.account import Account
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.terms import Terms
    from infra.stacks.config.tiers import Tier


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
    now = terms_of(tenant, config, tiers)
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
    if now.tier == to:
        _say(
            f"{tenant}: is of tier `{to}` already; `tenants up {tenant}` stamps what its file says"
        )
        return False
    after = _terms_in(tenant, config, to, tiers)
    change = terms_change.of(account, tenant, after)
    if change is None:
        file = stack_file.shown(tenant)
        raise ConfigError(f"{tenant} is not stamped yet: name its tier in {file}, and stamp it")
    for line in change.lines():
        _say(line)
    if options.preview:
        return False
    if change.loss and not options.accept:
        raise ConfigError(change.refusal)
    came_from = change.before.tier if under_way is None else under_way.came_from
    moves.begin(tenant, came_from=came_from, to=to)
    set_word(root, tenant, "tier", to)
    return True


def _terms_in(tenant: str, config: TenantConfig, to: str, tiers: Mapping[str, Tier]) -> Terms:
    if more := beyond(config, tiers[to]):
        lines = "".join(f"\n  {key}: `{to}` {words}" for key, words in more)
        file = stack_file.shown(tenant)
        raise ConfigError(f"{file} asks for more than the tier has; nothing is changed:{lines}")
    return terms_of(tenant, structs.replace(config, tier=to), tiers)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
