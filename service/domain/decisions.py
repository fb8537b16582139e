"""A question to the tenant's policies and its answer: decisions are values that carry their reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from service.domain.permissions import Permission


@dataclass(frozen=True)
class EntityId:
    """A Cedar entity, e.g. ``EntityId("Fleet::Device", "press-07")``."""

    type: str
    id: str

    def __str__(self) -> str:
        return f'{self.type}::"{self.id}"'


# A string annotation cannot be an alias on 3.11 without quotes; Union keeps it a plain runtime value.
Value = Union[str, bool, int, datetime, timedelta, IPv4Address, IPv6Address, EntityId]  # noqa: UP007 - runtime alias
"""What an attribute may hold; ``datetime`` is aware, ``timedelta`` has whole milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """An entity with its attributes and direct parents.

    Attributes:
        time_zone: where the entity stands, if its ``utc_offset`` depends on the moment of the decision.
    """

    uid: EntityId
    attributes: Mapping[str, Value]
    parents: tuple[EntityId, ...] = ()
    time_zone: ZoneInfo | None = None

    def at(self, now: datetime) -> Entity:
        """The entity as policies see it at ``now``: in a time zone, with the ``utc_offset`` of that moment."""
        offset = now.astimezone(self.time_zone).utcoffset() if self.time_zone else None
        return (
            self
            if offset is None
            else replace(self, attributes={**self.attributes, "utc_offset": offset})
        )


@dataclass(frozen=True, kw_only=True)
class Question:
    """May the principal do ``action`` on ``resource``?

    Attributes:
        entities: the resource, all its ancestors and whatever the context names.
        context: made by the service, never by the caller.
    """

    action: Permission
    resource: EntityId
    entities: tuple[Entity, ...]
    context: Mapping[str, Value]


class Refusal(StrEnum):
    """Why a decision is a denial."""

    FORBIDDEN = "forbidden"  # a forbid policy matched
    NOT_PERMITTED = "not_permitted"  # no permit policy matched
    EVALUATION_FAILED = "evaluation_failed"  # a policy could not be evaluated


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Yes; the permit policies that said so, by the names of our files."""

    policies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Denied:
    """No; the forbid policies that said so, if any did."""

    reason: Refusal
    policies: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """The reason in words, for the person who was refused."""
        match self.reason:
            case Refusal.FORBIDDEN:
                return f"forbidden by policy {', '.join(f'`{name}`' for name in self.policies)}"
            case Refusal.NOT_PERMITTED:
                return "no policy permits it"
            case Refusal.EVALUATION_FAILED:
                return "a policy could not be evaluated, which counts as a denial"


Decision = Union[Allowed, Denied]  # noqa: UP007 - runtime alias


def decision_of(*, allowed: bool, policies: tuple[str, ...], errors: int) -> Decision:
    """The decision that an evaluation amounts to.

    Args:
        allowed: what the engine answered.
        policies: the determining policies.
        errors: how many policies failed to evaluate; an error may hide a forbid.
    """
    if allowed and not errors:
        return Allowed(policies=policies)
    if allowed or (errors and not policies):
        return Denied(
            reason=Refusal.EVALUATION_FAILED
        )  # fail closed: a forbid that errors is skipped by Cedar
    return Denied(
        reason=Refusal.FORBIDDEN if policies else Refusal.NOT_PERMITTED, policies=policies
    )
