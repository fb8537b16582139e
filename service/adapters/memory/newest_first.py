"""Pages of a twin's records, the newest first, as the tables cut them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cedarfleet_device import wire

from service.domain.device_filter import MAX_LOOKED_AT
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def newest_first(
    ids: Iterable[str], shows: Callable[[str], bool], *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """The ids of one page, and the cursor of the next, if there may be one.

    Args:
        ids: ULIDs of all that there is.
        shows: whether one is wanted.
        limit: of one page.
        cursor: the id behind which the page begins.

    Raises:
        InvalidRequestError: the cursor is not one of ours.
    """
    if cursor is not None and not wire.is_command_id(cursor):
        raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page of this list")
    shown: list[str] = []
    behind = sorted((one for one in ids if cursor is None or one < cursor), reverse=True)
    for looked_at, one in enumerate(behind, start=1):
        if shows(one):
            shown.append(one)
        if looked_at == len(behind):
            break
        if len(shown) == limit or looked_at == MAX_LOOKED_AT:
            return shown, one
    return shown, None
