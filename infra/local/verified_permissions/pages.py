"""Lists in pages: an opaque token says after which record the next page of which list starts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from .errors import Field, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .call import Call

_MOST: Final = 50  # more is undocumented; clamped
_USUAL: Final = 10


class Ordered(Protocol):
    """A record with a fixed place in lists."""

    @property
    def order(self) -> int:
        """Counts up with creation."""
        ...


_Item = TypeVar("_Item", bound=Ordered)


def page(
    call: Call, items: Iterable[_Item], *, usual: int = _USUAL
) -> tuple[list[_Item], dict[str, str]]:
    """The asked page of ``items``, and the ``nextToken`` member when more follow.

    Records that were removed between two pages are skipped without losing others.

    Raises:
        InvalidInputError: the token is not of this list.
    """
    after = _position(call)
    size = min(call.request.get("maxResults") or usual, _MOST)
    rest = sorted((item for item in items if item.order > after), key=lambda item: item.order)
    shown = rest[:size]
    return shown, {"nextToken": _token(call, shown[-1].order)} if len(rest) > size else {}


def _position(call: Call) -> int:
    token = call.request.get("nextToken")
    if token is None:
        return 0
    try:
        of, after = json.loads(base64.urlsafe_b64decode(token))
        if of == _list_of(call) and type(after) is int:
            return after
    except (ValueError, TypeError, binascii.Error):
        pass
    raise InvalidInputError(Field("/nextToken", "Invalid token: it is not of this list."))


def _token(call: Call, after: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([_list_of(call), after]).encode()).decode()


def _list_of(call: Call) -> str:
    """Names the list: operation, caller and everything asked but the page."""
    asked: dict[str, Any] = {
        name: value
        for name, value in call.request.items()
        if name not in ("nextToken", "maxResults")
    }
    text = json.dumps(
        [call.operation, call.caller.account_id, call.caller.region, asked], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
