"""Groups that a tenant makes at run time, beside those that its file declares.

What a device in a group is below never changes as long as there is the group: its parents are those
that it was made with, and an id that was given once is given to no other group. So no decision on a
device can be overtaken by a change of groups, and nobody gains power over the devices of a group by
putting it into another one: that takes a decision on each device, as it is and as it would be.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.cedar.entities import ROOT_GROUP
from service.cedar.group_tree import MAX_ANCESTORS, too_many, with_ancestors
from service.domain.groups import check_group
from service.domain.preconditions import entity_tag
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.cedar.entities import GroupParents
    from service.domain.tenants import Tenant

MAX_GROUPS: Final = 1_000
"""Of a tenant, deleted ones too: a list that looks for a group in groups reads them all."""
MAX_DEPTH: Final = 10
"""Groups in groups, with the lowest and without ``all``."""
MAX_DESCRIPTION: Final = 200


class GroupState(StrEnum):
    """How far a group is from its end; nothing goes into one that is not ``active``.

    ``closing``: somebody looks whether nothing is in it; until then it counts.
    """

    ACTIVE = "active"
    CLOSING = "closing"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class GroupRecord:
    """A group that was made at run time.

    Attributes:
        parents: groups that it lies in directly, sorted; none: in the root group alone.
        above: each group above it that was made at run time too, with its own parents.
        created_at: milliseconds since the epoch, as ``changed_at``.
        version: counted up with each change; 0: not stored yet.
        made_by_key: digest of the idempotency key that made it, and of the request, if one did.
    """

    tenant: str
    id: str
    description: str
    parents: tuple[str, ...]
    above: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    created_by: str
    created_at: int
    changed_at: int
    state: GroupState = GroupState.ACTIVE
    version: int = 0
    made_by_key: tuple[str, str] | None = None

    @property
    def tag(self) -> str:
        """The entity tag of what can be changed of it."""
        return entity_tag("group", self.tenant, self.id, self.version)

    @property
    def counts(self) -> bool:
        """Whether policies see it."""
        return self.state is not GroupState.DELETED


@dataclass(frozen=True, kw_only=True)
class KnownGroup:
    """A group as it is shown, whoever made it.

    Attributes:
        record: of a group that was made at run time; ``None``: the tenant's file declares it.
    """

    id: str
    parents: tuple[str, ...]
    record: GroupRecord | None = None


@dataclass(frozen=True, kw_only=True)
class GroupPage:
    """Groups in the order of their ids; ``cursor`` asks for the next page, if there is one."""

    groups: tuple[KnownGroup, ...]
    cursor: str | None


def tree_of(tenant: Tenant, records: Iterable[GroupRecord]) -> dict[str, tuple[str, ...]]:
    """Groups made at run time with the groups that they lie in, as policies see them.

    What the tenant's file declares under the same id counts instead, and a line that it declares no
    more counts for nothing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for record in records:
        if record.counts:
            found |= record.above
            found[record.id] = record.parents
    known = ChainMap(dict(tenant.groups), found)  # type: ignore[arg-type] - tuples are sequences
    return {
        group: tuple(parent for parent in parents if parent in known)
        for group, parents in found.items()
        if group not in tenant.groups
    }


def check_new_group(tenant: Tenant, group: str, parents: Sequence[str], description: str) -> None:
    """Refuse a group that policies could not be asked about.

    Args:
        tenant: with those of its groups made at run time that the new one would lie in.
        group: its id.
        parents: groups that it shall lie in.
        description: for people.

    Raises:
        InvalidRequestError: names the member, and what would be right.
    """
    if not wire.is_device_id(group) or group == ROOT_GROUP:
        raise InvalidRequestError(
            "id",
            "must be a letter or digit and up to 63 letters, digits, `_` and `-`, and not"
            f" `{ROOT_GROUP}`",
        )
    check_description(description)
    for index, parent in enumerate(parents):
        if parent in parents[:index]:
            raise InvalidRequestError("parents", f"`{parent}` stands twice")
        if parent == ROOT_GROUP:
            raise InvalidRequestError("parents", f"leave `{ROOT_GROUP}` out: every group is in it")
        check_group(tenant, parent, field="parents")
    tree: GroupParents = {**tenant.groups, group: tuple(parents)}
    if (deep := _depth(group, tree)) > MAX_DEPTH:
        raise InvalidRequestError(
            "parents", f"the group would be the {deep}th in each other; at most {MAX_DEPTH} may be"
        )
    if count := too_many([group], tree):
        raise InvalidRequestError(
            "parents",
            f"a device in it would lie in {count} groups; policies decide on at most"
            f" {MAX_ANCESTORS}",
        )


def check_description(text: str) -> None:
    """Refuse a description that cannot be shown in one line.

    Raises:
        InvalidRequestError: says what would be right.
    """
    if len(text) > MAX_DESCRIPTION or not text.isprintable():
        raise InvalidRequestError(
            "description", f"must be at most {MAX_DESCRIPTION} printable characters"
        )


def above_of(
    tenant: Tenant, parents: Sequence[str], made: GroupParents
) -> dict[str, tuple[str, ...]]:
    """Of the groups above one with these parents, those that were made at run time.

    Args:
        tenant: whose groups they are.
        parents: groups that it lies in.
        made: those made at run time that stand above it, at least.
    """
    tree = ChainMap(dict(tenant.groups), dict(made))
    return {
        group: tuple(made[group])
        for group in with_ancestors(parents, tree)
        if group in made and group not in tenant.groups
    }


def _depth(group: str, tree: GroupParents) -> int:
    return 1 + max((_depth(parent, tree) for parent in tree.get(group, ())), default=0)
