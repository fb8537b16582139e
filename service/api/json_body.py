"""JSON bodies, read to the letter before Litestar reads them."""

import json
import re
from typing import Any, Final

import msgspec
from litestar import Request

from service.errors import InvalidRequestError, WrongMediaTypeError

_JSON: Final = re.compile(r"application/json *(; *charset=\"?utf-8\"? *)?", re.IGNORECASE)
# How msgspec says that a name in a mapping is wrong, and not what it names.
_OF_A_NAME: Final = re.compile(r" - at `key` in (`\$.*)")
# And of a pattern; this one asks for anything but blanks.
_PATTERN: Final = "Expected `str` matching regex '\\\\S'"


async def check_body(request: Request[Any, Any, Any]) -> None:
    """Read a JSON body by its type, to the letter.

    Litestar itself would take ``"60"`` for 60 and ``"null"`` for null.

    Raises:
        WrongMediaTypeError: not declared as JSON.
        InvalidRequestError: not JSON, or not of the form; names the member.
        RecursionError: nested too deeply; the table of problems answers it.
    """
    body = request.route_handler.parsed_data_field
    if body is None:
        return
    declared = request.headers.getall("content-type", [])
    # Fail closed: a page of a stranger can send a form or plain text, but no JSON.
    if len(declared) != 1 or _JSON.fullmatch(declared[0]) is None:
        raise WrongMediaTypeError
    content = await request.body()
    try:
        msgspec.json.decode(content, type=body.annotation)
        json.loads(content, object_pairs_hook=_each_once)
    except msgspec.ValidationError as error:
        problem, _, path = _OF_A_NAME.sub(r" in a name - at \1", str(error)).partition(" - at `$")
        words = problem.replace(_PATTERN, "must hold more than blanks")
        raise InvalidRequestError(path.strip("`.") or "body", words) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError("body", "must be one JSON document in UTF-8") from error


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a member twice: of which of the two is decided, nobody knows.

    RFC 8259, 4: "names within an object SHOULD be unique", and readers differ in what they take.
    """
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequestError(twice[:100] or "body", "stands twice in one object")
    return found
