"""What is noted of a stack before it is stamped, and told after: a first time, another tier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from infra.commands.account import Account
from infra.commands.onboarding import Onboarding
from infra.commands.tier_moves import TierMoves
from infra.stacks.config.tenants import configured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.commands.stack_run import Engine


@dataclass(frozen=True, kw_only=True)
class AfterStamping:
    """Both for the stacks of a run; may be asked by threads.

    Attributes:
        onboarding: of those that are stamped for the first time.
        moves: of those that come to another tier.
        root: the project's folder.
    """

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
        return cls(onboarding=Onboarding(account), moves=TierMoves(account), root=root)

    def begin(self, tenant: str) -> Callable[[], None]:
        """Before an `up`.

        Returns:
            To be called after one that went well; raises `NotToldError` or AWS's errors, and the
            next `up` tells it then.

        Raises:
            ConfigError: the tenant's file is not of its form.
            botocore.exceptions.ClientError: AWS refused.
        """
        tier = configured(self.root, tenant).tier  # that which is stamped, if the file changes
        self.onboarding.begin(tenant)

        def end() -> None:
            self.onboarding.end(tenant)
            self.moves.end(tenant, tier=tier)

        return end
