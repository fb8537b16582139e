"""``ETag`` of what can be changed, and ``If-Match`` of who changes it (RFC 9110, 8.8.3 and 13.1.1).

``If-Match`` compares strongly (RFC 9110, 13.1.1), so a weak tag never fits and is refused as one.
"""

import re
from typing import Annotated, Any, Final, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter

from service.domain.preconditions import ANY_STATE, Expected
from service.errors import InvalidRequestError

IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        max_length=1000,
        description="change it only if it is as it was read: the `ETag` of the answer, or several,"
        " separated by commas; 412 has the one of now",
    ),
]
ETAG: Final = (
    ResponseHeader(
        name="ETag",
        documentation_only=True,
        description="of what can be changed here, for `If-Match`; how a device is connected is no"
        " part of it",
    ),
)
_T = TypeVar("_T")
# RFC 9110, 8.8.3: any visible character but the quotation mark.
_TAG: Final = re.compile(r'\s*"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)"\s*')
_PROBLEM: Final = 'must be the `ETag` of an answer, as it stands there: `"…"`; or several, or `*`'


def expected(if_match: str | None) -> Expected:
    """The states in which a thing may be changed, of the header.

    Raises:
        InvalidRequestError: it is not of its form; fail closed, nothing changes then.
    """
    if if_match is None or if_match.strip() == "*":
        return ANY_STATE
    # No tag of ours holds a comma.
    found = [_TAG.fullmatch(one) for one in if_match.split(",")]
    tags = frozenset(one["tag"] for one in found if one is not None)
    if not all(found):
        raise InvalidRequestError("If-Match", _PROBLEM)
    return Expected(tags=tags)


def tagged(body: _T, tag: str, *, status: int = 200, location: str | None = None) -> Response[_T]:
    """The answer with the tag of what it shows."""
    headers: dict[str, Any] = {"ETag": quoted(tag)}
    if location is not None:
        headers["Location"] = location
    return Response(body, status_code=status, headers=headers)


def quoted(tag: str) -> str:
    """A tag as it stands in a header."""
    return f'"{tag}"'
