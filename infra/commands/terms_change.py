"""What a stamping changes of a tenant's terms, and what the tenant would lose by it.

The words are the same for a move by command, for an edited file and for a changed tier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.commands import standing_terms, tier_loss
from infra.stacks.config.tiers import Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.commands.account import Account
    from infra.commands.tier_loss import Loss
    from infra.stacks.config.terms import Terms
    from infra.stacks.config.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class TermsChange:
    """From what stands to what a file asks for.

    Attributes:
        tenant: its id.
        before: what stands.
        after: what it is to get.
        loss: what it has that it would lose.
    """

    tenant: str
    before: Terms
    after: Terms
    loss: Loss

    def lines(self) -> Iterator[str]:
        """For people; none where nothing changes."""
        changed = [*changes(self.before.within, self.after.within)]
        if self.before.tier == self.after.tier:
            if not changed:
                return
            yield f"{self.tenant}: other terms of {_named(self.after)}"
        else:
            yield f"{self.tenant}: {_named(self.before)} -> {_named(self.after)}"
        yield from (f"  {line}" for line in changed)
        yield from (f"  is deleted within days: {what}" for what in self.loss.forgotten)
        for what in self.loss.closed:
            yield f"  stays and works, and no other can be made: {what}"

    @property
    def refusal(self) -> str:
        """What is said where something would be lost, and nobody accepted that."""
        return (
            f"{self.tenant} has what {_quoted(self.after)} lacks; "
            "nothing is changed without --accept"
        )


def of(account: Account, tenant: str, after: Terms) -> TermsChange | None:
    """What becomes otherwise with the next stamping; ``None``: the tenant is not stamped yet.

    May be asked by threads, after ``standing_terms.prepare``.

    Args:
        account: where it stands.
        tenant: its id.
        after: what it is to get.

    Raises:
        botocore.exceptions.ClientError: AWS refused; nobody knows then what would be lost.
    """
    found = standing_terms.of(account, tenant)
    if found is None:
        return None
    before, bucket = found
    now = tier_loss.now()
    loss = tier_loss.of(account, tenant, bucket, before=before.within, after=after.within, now=now)
    return TermsChange(tenant=tenant, before=before, after=after, loss=loss)


def changes(before: Tier, after: Tier) -> Iterator[str]:
    """What becomes otherwise, a line each, by the keys of a tier."""
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    for key, value in new.items():
        if key != "description" and old[key] != value:
            yield f"{key}: {old[key]} -> {value}"


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


def _named(terms: Terms) -> str:
    return terms.tier or "no tier"


def _quoted(terms: Terms) -> str:
    return f"`{terms.tier}`" if terms.tier else "a tenant of no tier"
