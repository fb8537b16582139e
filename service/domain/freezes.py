"""A freeze: nobody changes the devices of a group until somebody thaws it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.cedar.freezes import frozen_statement
from service.cedar.granted import fingerprint

MAX_REASON: Final = 500  # characters
KEPT_SECONDS: Final = 90 * 24 * 3600
"""For which the row of one that is over is kept."""


class FreezeState(StrEnum):
    """How far a freeze is; the store may have its policy in each but the last."""

    FREEZING = "freezing"
    FROZEN = "frozen"
    THAWING = "thawing"
    THAWED = "thawed"


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """The last freeze of a group.

    Attributes:
        freeze_id: a ULID, another one each time.
        by: entity id of who asked for it.
        at: milliseconds since the epoch, as ``over_at``.
        policy_id: the policy store's; empty: nobody knows yet.
        over_by: who thawed it.
        over_at: when; 0: not yet.
        version: counted up with each change; 0: not stored yet.
    """

    tenant: str
    group: str
    freeze_id: str
    state: FreezeState
    by: str
    at: int
    reason: str
    policy_id: str = ""
    over_by: str = ""
    over_at: int = 0
    version: int = 0

    @property
    def statement(self) -> str:
        """Its policy."""
        return frozen_statement(self.freeze_id, self.group)

    @property
    def mark(self) -> str:
        """By which its policy is told beside those of the stack."""
        return fingerprint(self.statement)
