"""What counts of a tenant within seconds: from when on tokens do, and which grants stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT_SECONDS: Final = 25 * 3600
"""For which a revocation is told: no token lives longer than a day.

Source: Cognito API reference, CreateUserPoolClient (`AccessTokenValidity`, `IdTokenValidity`).
"""
INTENT_MS: Final = 30_000
"""For which a change that has begun, and perhaps not ended, refuses the tokens to come too.

Longer than any call of AWS may take (``AwsSettings.deadline_seconds``).
"""
SKEW_MS: Final = 1_000
"""By which the clock of Cognito may be behind ours (assumed: no page of AWS gives a figure)."""

NotBefore = int
"""Milliseconds since the epoch: tokens that were issued before prove nothing."""


@dataclass(frozen=True, kw_only=True)
class RunTimeWord:
    """What the rows of a tenant said at one moment.

    Attributes:
        tokens: of whom tokens of before a moment prove nothing, by subject.
        granted: fingerprints of the policies that the store is to hold beside its stack's
            (``cedar.granted``).
        ended: the store's ids of policies that were revoked; it may show them for some time yet.
    """

    tokens: Mapping[str, NotBefore] = field(default_factory=dict[str, NotBefore])
    granted: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


def is_revoked(revoked: Mapping[str, NotBefore], subject: str, issued_at: float) -> bool:
    """Whether a token is of before the last revocation of its subject.

    Args:
        revoked: of the tenant, by subject.
        subject: ``sub`` of the token.
        issued_at: ``iat``, seconds since the epoch; Cognito gives whole ones, so a token of the
            second of the revocation counts as one of before (fail closed).
    """
    not_before = revoked.get(subject)
    return not_before is not None and issued_at * 1000 < not_before
