"""Device groups in device groups: which groups a device is in by way of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_ANCESTORS: Final = 100
"""Groups above one entity, all together (source: Verified Permissions quotas, transitive parents).

The root group and the tenant are two of them.
"""
_ROOT_AND_TENANT: Final = 2


class CircularGroupsError(ValueError):
    """A group lies in itself, by way of others."""


def with_ancestors(groups: Iterable[str], parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The groups and all above them but the root group, sorted.

    Args:
        groups: their names.
        parents: group -> the groups that it lies in directly; one that is missing lies in none.

    Raises:
        CircularGroupsError: a group lies in itself.
    """
    done: set[str] = set()
    for group in groups:
        _climb(group, parents, done, path=())
    return tuple(sorted(done))


def too_many(groups: Iterable[str], parents: Mapping[str, Sequence[str]]) -> int | None:
    """How many groups an entity in ``groups`` would lie in, if these are too many to decide on."""
    count = len(with_ancestors(groups, parents)) + _ROOT_AND_TENANT
    return count if count > MAX_ANCESTORS else None


def _climb(
    group: str, parents: Mapping[str, Sequence[str]], done: set[str], path: tuple[str, ...]
) -> None:
    if group in path:
        circle = (*path[path.index(group) :], group)
        raise CircularGroupsError(f"lies in itself: {' in '.join(f'`{one}`' for one in circle)}")
    if group in done:
        return
    for parent in parents.get(group, ()):
        _climb(parent, parents, done, (*path, group))
    done.add(group)
