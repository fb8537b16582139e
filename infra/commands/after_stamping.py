"""What is looked up and noted of a stack before it is stamped, and told after.

Its terms, of which one may be lost; a first time; another tier, by `tenants move` or by an edited
file alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from infra.commands import standing_terms, terms_change
from infra.commands.account import Account
from infra.commands.onboarding import Onboarding
from infra.commands.tier_moves import TierMoves
from infra.stacks.config.tenants import configured
from infra.stacks.config.terms import terms_of, tiers_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.commands.stack_run import Engine
    from infra.commands.terms_change import TermsChange


@dataclass(frozen=True, kw_only=True)
class AfterStamping:
    """All of it for the stacks of a run; may be asked by threads.

    Attributes:
        account: where the tenants stand.
        onboarding: of those that are stamped for the first time.
        moves: of those that come to another tier.
        root: the project's folder.
    """

    account: Account
    onboarding: Onboarding
    moves: TierMoves
    root: Path

    @classmethod
    def of(cls, engine: Engine, root: Path) -> Self:
        """In the account to which the engine stamps.

        Raises:
            ConfigError: the laptop's engine has no cloud.
            botocore.exceptions.ClientError: AWS refused.
        """
        account = Account.stamped_by(engine, root)
        standing_terms.prepare(account)
        return cls(
            account=account, onboarding=Onboarding(account), moves=TierMoves(account), root=root
        )

    def change(self, tenant: str) -> TermsChange | None:
        """What a stamping would change of a tenant's terms; ``None``: it is not stamped yet.

        Raises:
            ConfigError: the tenant's file is not of its form.
            botocore.exceptions.ClientError: AWS refused.
        """
        after = terms_of(tenant, configured(self.root, tenant), tiers_of(self.root))
        return terms_change.of(self.account, tenant, after)

    def begin(self, tenant: str, change: TermsChange | None) -> Callable[[], None]:
        """Before an `up`; a tier that was edited by hand is noted as a move then.

        Args:
            tenant: its id.
            change: of its terms, if it is known.

        Returns:
            To be called after one that went well; raises `NotToldError` or AWS's errors, and the
            next `up` tells it then.

        Raises:
            ConfigError: the tenant's file is not of its form.
            botocore.exceptions.ClientError: AWS refused.
        """
        tier = configured(self.root, tenant).tier  # that which is stamped, if the file changes
        self.onboarding.begin(tenant)
        if change is not None and change.before.tier != tier:
            self.moves.note(tenant, came_from=change.before.tier, to=tier)

        def end() -> None:
            self.onboarding.end(tenant)
            self.moves.end(tenant, tier=tier)

        return end
