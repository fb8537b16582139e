"""Page cursors: AWS's own token, bound to the tenant and the list that it was made for."""

from __future__ import annotations

import base64
import binascii

from service.errors import InvalidRequestError


def seal(scope: str, token: str | None) -> str | None:
    """The cursor for the caller; ``scope`` names tenant and list."""
    if token is None:
        return None
    return base64.urlsafe_b64encode(f"{scope} {token}".encode()).decode().rstrip("=")


def unseal(scope: str, cursor: str | None) -> str | None:
    """AWS's token of a cursor.

    Raises:
        InvalidRequestError: no cursor of this list. It proves nothing: the query itself is bound to the tenant.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        ).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page") from error
    found, separator, token = text.partition(" ")
    if not separator or found != scope or not token:
        raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page of this list")
    return token
