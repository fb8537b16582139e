"""A tenant's machine made at run time: its scopes, its secrets, and where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCOPES: Final = ("view", "operate", "update")
"""As a tenant's stack file says them; a token has them as ``fleet/view`` and so on."""
_RESOURCE_SERVER: Final = "fleet"
MOST_SECRETS: Final = 2
"""Source: Cognito API reference, AddUserPoolClientSecret ("up to 2 active secrets")."""
BEGUN_MS: Final = 60_000
"""For which what somebody has begun with a machine is theirs: longer than a request may take."""
MIN_SECRET_MS: Final = 5 * 60 * 1000
MAX_SECRET_MS: Final = 5 * 366 * 24 * 3600 * 1000
MAX_ID: Final = 28
"""So that the name of its timer, behind that of the longest tenant, is one."""
MAX_DESCRIPTION: Final = 256
USED_MS: Final = 5 * 60 * 1000
"""How far behind the time of the last use may be: so seldom is it written."""
KEPT_SECONDS: Final = 90 * 24 * 3600
"""For which a revoked machine is still listed."""
_ID: Final = re.compile(r"[a-z](?:-?[a-z0-9])*")


class MachineState(StrEnum):
    """How far a machine has come."""

    MAKING = "making"
    ACTIVE = "active"
    REVOKING = "revoking"
    REVOKED = "revoked"
    UNKNOWN = "unknown"

    @classmethod
    def of_row(cls, text: str) -> MachineState:
        """A state as it is stored; one of a later release is shown, and not acted on."""
        try:
            return cls(text)
        except ValueError:
            return cls.UNKNOWN


@dataclass(frozen=True, kw_only=True)
class MachineSecret:
    """What is known of a secret; the secret itself, Cognito's alone.

    Attributes:
        id: Cognito's, ``<client>--<when it was made>``.
        expires_at: milliseconds since the epoch, when our worker deletes it; ``None``: never.
        ending: it is being deleted.
    """

    id: str
    created_by: str
    created_at: int
    expires_at: int | None = None
    ending: bool = False


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A program of the tenant that signs in with a client id and a secret.

    Attributes:
        id: the tenant's name of it.
        client_id: of Cognito, the subject of its tokens; ``None`` until it is made.
        adding_since: when somebody began to make it a further secret.
        last_used_at: up to some minutes before it was last seen; ``None``: never.
        version: of the row, 0 of one that is not stored.
    """

    tenant: str
    id: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: int
    changed_at: int
    description: str = ""
    client_id: str | None = None
    state: MachineState = MachineState.MAKING
    secrets: tuple[MachineSecret, ...] = ()
    adding_since: int | None = None
    last_used_at: int | None = None
    version: int = 0

    @property
    def token_scopes(self) -> tuple[str, ...]:
        """The scopes as its tokens and the policies have them."""
        return tuple(f"{_RESOURCE_SERVER}/{scope}" for scope in self.scopes)

    @property
    def client_name(self) -> str:
        """Its app client's name; no machine of a stack file has a dot in its own."""
        return f"api.{self.id}"

    def lasting(self, now_ms: int) -> tuple[MachineSecret, ...]:
        """The secrets that are neither being deleted nor past their end."""
        return tuple(
            one
            for one in self.secrets
            if not one.ending and (one.expires_at is None or one.expires_at > now_ms)
        )

    def is_begun(self, now_ms: int) -> bool:
        """Whether something of it was begun, and whoever began it may be at it still."""
        is_unfinished = (
            self.state in (MachineState.MAKING, MachineState.REVOKING)
            or self.adding_since is not None
            or any(one.ending for one in self.secrets)
        )
        return is_unfinished and now_ms < self.changed_at + BEGUN_MS


@dataclass(frozen=True, kw_only=True)
class NewMachine:
    """A machine that is to be made; ``expires_at`` is of its first secret."""

    id: str
    scopes: tuple[str, ...]
    description: str = ""
    expires_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewSecret:
    """A secret at the one moment when it is told."""

    id: str
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class MachinePage:
    """Some machines, and what asks for the next."""

    machines: tuple[Machine, ...]
    cursor: str | None


def is_machine_id(text: str) -> bool:
    """Whether a machine can have this name."""
    return len(text) <= MAX_ID and _ID.fullmatch(text) is not None


def check_new_machine(new: NewMachine, now_ms: int) -> None:
    """Refuse what cannot be made.

    Raises:
        InvalidRequestError: names the member.
    """
    if not is_machine_id(new.id):
        raise InvalidRequestError("id", "must be lower-case words joined by single `-`")
    check_scopes(new.scopes)
    check_end(new.expires_at, now_ms)


def check_scopes(scopes: Sequence[str]) -> None:
    """Refuse scopes that there are not.

    Raises:
        InvalidRequestError: there is none, one is named twice, or none of ours.
    """
    if not scopes or len(set(scopes)) != len(scopes) or not set(scopes) <= set(SCOPES):
        raise InvalidRequestError("scopes", f"must be some of {', '.join(SCOPES)}, each once")


def check_end(expires_at: int | None, now_ms: int) -> None:
    """Refuse an end of a secret that is past, or so far off that it is a slip.

    Raises:
        InvalidRequestError: it is none.
    """
    if expires_at is not None and not MIN_SECRET_MS <= expires_at - now_ms <= MAX_SECRET_MS:
        raise InvalidRequestError("expires_at", "must be 5 minutes to 5 years from now")
