"""Page cursors: AWS's own token, bound to the tenant and the list that it was made for."""

from __future__ import annotations

import base64
import binascii
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.adapters.aws.client.failures import AwsRefusalError
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Generator


def seal(scope: str, token: str | None) -> str | None:
    """The cursor for the caller; ``scope`` names tenant and list."""
    if token is None:
        return None
    return base64.urlsafe_b64encode(f"{scope} {token}".encode()).decode().rstrip("=")


@contextmanager
def unsealed(scope: str, cursor: str | None) -> Generator[dict[str, str]]:
    """What asks AWS for the page of a cursor: arguments for the call that is made inside.

    A cursor proves nothing, and need not: the call itself is bound to the tenant.

    Raises:
        InvalidRequestError: the cursor is of another list, or AWS refuses its token.
    """
    token = None if cursor is None else token_of(scope, cursor)
    try:
        yield {"nextToken": token} if token else {}
    except AwsRefusalError as error:
        if token and error.code == "InvalidRequestException":
            raise InvalidRequestError(
                "cursor", "must be the `cursor` of an earlier page"
            ) from error
        raise


def token_of(scope: str, cursor: str) -> str:
    """What was sealed into a cursor.

    Raises:
        InvalidRequestError: the cursor is of another list, or none.
    """
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
