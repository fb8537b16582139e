"""The people of a tenant's user pool, as the API shows and takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from service.domain.tenants import check_listed
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_GROUPS: Final = 50  # of one person; a token carries them all, and a token has 16 KB
MAX_NAME: Final = 128  # of `Username` and `GroupName` (Cognito API reference, AdminAddUserToGroup)
_EMAIL: Final = re.compile(r"[^@\s\"\\]{1,64}@[^@\s\"\\]+\.[^@\s\"\\]{2,}")
STATES: Final[Mapping[str, str]] = {
    "FORCE_CHANGE_PASSWORD": "invited",
    "CONFIRMED": "active",
    "RESET_REQUIRED": "reset-required",
    "EXTERNAL_PROVIDER": "federated",
}
"""Cognito's `UserStatus` -> our word; any other is shown as `other`."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody of a pool.

    Attributes:
        id: Cognito's user name; of whom the pool made itself, the subject too.
        subject: ``sub`` of the person's tokens.
        state: of ``STATES``, or ``other``.
        enabled: whether the pool lets the person sign in.
        region: where the person works, if that is told.
        created_at: milliseconds since the epoch; so is ``changed_at``.
        groups: of the pool; empty in a list, which does not tell them.
    """

    id: str
    subject: str
    email: str
    state: str
    enabled: bool
    region: str | None = None
    created_at: int = 0
    changed_at: int = 0
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PersonPage:
    """Some people, and what asks for the next."""

    people: tuple[Person, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class NewPerson:
    """Who is to be invited."""

    email: str
    region: str | None = None
    groups: tuple[str, ...] = field(default=())


def check_new_person(lists: Mapping[str, frozenset[str]], person: NewPerson) -> None:
    """Refuse whom no pool would take.

    Args:
        lists: ``Tenant.lists``.
        person: as the caller wrote it.

    Raises:
        InvalidRequestError: names the member.
    """
    if len(person.email) > MAX_NAME or _EMAIL.fullmatch(person.email) is None:
        raise InvalidRequestError("email", "must be an e-mail address, `kim@example.org`")
    if person.region is not None:
        check_listed(lists, "regions", person.region, field="region")
    check_people_groups(person.groups)


def check_people_groups(groups: Sequence[str]) -> None:
    """Refuse groups that no pool has.

    Raises:
        InvalidRequestError: one is named twice, is no name, or there are too many.
    """
    if len(groups) > MOST_GROUPS:
        raise InvalidRequestError("groups", f"at most {MOST_GROUPS}")
    for group in groups:
        if not is_pool_name(group):
            raise InvalidRequestError("groups", f"`{group[:MAX_NAME]}` is no name of a group")
        if groups.count(group) > 1:
            raise InvalidRequestError("groups", f"`{group}` stands twice")


def is_pool_name(text: str) -> bool:
    """Whether a user or group of a pool can have this name: letters, marks, digits, no blanks.

    Source: Cognito API reference, AdminAddUserToGroup (`Username`, `GroupName`).
    """
    return 0 < len(text) <= MAX_NAME and text.isprintable() and " " not in text
