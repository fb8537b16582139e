"""A grant: what one person may do on a device or group until a moment, and who gave it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.cedar.entities import DEVICE, DEVICE_GROUP, USER
from service.cedar.granted import granted_statement
from service.cedar.values import EntityUid
from service.domain.preconditions import entity_tag
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from datetime import datetime

    from service.domain.tenants import Tenant

LONGEST: Final = timedelta(days=366)
MOST_TOGETHER: Final = 1_000
"""That stand in one tenant: their fingerprints are read with every revocation, 32 bytes each."""
KEPT_SECONDS: Final = 400 * 24 * 3600
"""For which the record of a grant is kept beyond its end."""


class GrantState(StrEnum):
    """How far a grant came, as it is recorded."""

    PENDING = "pending"  # begun; its policy may stand already
    ACTIVE = "active"
    REVOKING = "revoking"  # begun; it may count still
    REVOKED = "revoked"
    ENDED = "ended"  # in Cedar itself, at its moment
    REFUSED = "refused"  # the store did not take its policy
    UNKNOWN = "unknown"
    """What a later release wrote; never written by this one."""

    @classmethod
    def of_row(cls, text: str) -> GrantState:
        """The state that a row has, whichever release wrote it: two run side by side for a while.

        Args:
            text: as it stands there.
        """
        return cls(text) if text in set(cls) else cls.UNKNOWN


OVER: Final = frozenset({GrantState.REVOKED, GrantState.ENDED, GrantState.REFUSED})


@dataclass(frozen=True, kw_only=True)
class NewGrant:
    """What a caller wants to give.

    Attributes:
        template: name of one of the tenant's templates with an end.
        person: id or address of somebody of the tenant's pool.
        device: where; or ``group``.
        until: the end, with a time zone.
        reason: in the caller's words.
    """

    template: str
    person: str
    device: str | None
    group: str | None
    until: datetime
    reason: str
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One grant.

    Attributes:
        statement: its policy, as the store is given it.
        policy_id: the store's id of it, once it is known.
        until: milliseconds since the epoch; so are the other moments.
        given_by: entity id of who gave it; of ``revoked_by`` the same.
        over_at: when it was revoked, or ended; 0: it was not.
        revision: 1, and one more with each change.
    """

    grant_id: str
    tenant: str
    template: str
    person: str
    subject: str
    email: str
    device: str | None
    group: str | None
    until: int
    reason: str
    statement: str
    given_by: str
    given_at: int
    state: GrantState = GrantState.PENDING
    policy_id: str = ""
    revoked_by: str = ""
    over_at: int = 0
    revision: int = 1

    @property
    def tag(self) -> str:
        """For who changes it only as it was read."""
        return entity_tag("grant", self.tenant, self.grant_id, self.revision)

    @property
    def is_over(self) -> bool:
        """Whether its row says that nothing is to be done about it any more."""
        return self.state in (GrantState.REVOKED, GrantState.ENDED, GrantState.REFUSED)

    def forgotten(self) -> Grant:
        """One that is over, and tells no more to whom it was given, nor why."""
        return replace(self, person="", subject="", email="", reason="", statement="")

    def at(self, now_ms: int) -> Grant:
        """As it is shown at a moment: one that ended by itself says so before it is cleaned up."""
        if self.state in (GrantState.PENDING, GrantState.ACTIVE) and now_ms >= self.until:
            return replace(self, state=GrantState.ENDED, over_at=self.until)
        return self


@dataclass(frozen=True, kw_only=True)
class GrantPage:
    """Some grants, the newest first, and what asks for the next."""

    grants: tuple[Grant, ...]
    cursor: str | None


def check_grant(new: NewGrant, tenant: Tenant) -> None:
    """Refuse what could never be given.

    Raises:
        InvalidRequestError: names the member.
    """
    if new.template not in tenant.templates:
        known = ", ".join(f"`{name}`" for name in sorted(tenant.templates)) or "none"
        words = f"`{new.template}` is no template with an end; there are: {known}"
        raise InvalidRequestError("template", words)
    if (new.device is None) is (new.group is None):
        raise InvalidRequestError("device", "give either `device` or `group`")
    if new.until.tzinfo is None:
        raise InvalidRequestError("until", "must have a time zone, `2026-12-24T18:00:00Z`")


def check_until(new: NewGrant, *, now: datetime) -> None:
    """Refuse an end that is over, or too far.

    Raises:
        InvalidRequestError: it is.
    """
    if not now < new.until <= now + LONGEST:
        raise InvalidRequestError("until", f"must be to come, within {LONGEST.days} days")


def policy_of(grant_id: str, new: NewGrant, tenant: Tenant, *, subject: str) -> str:
    """The policy that gives it, to be put into the tenant's store."""
    resource = (
        EntityUid(DEVICE, new.device)
        if new.device is not None
        else EntityUid(DEVICE_GROUP, str(new.group))
    )
    return granted_statement(
        tenant.templates[new.template].statement,
        grant_id=grant_id,
        principal=EntityUid(USER, f"{tenant.pool_id}|{subject}"),
        resource=resource,
        # To the second, as Cedar is told it.
        until=new.until.astimezone(UTC).replace(microsecond=0),
    )
