"""JSON bodies, read to the letter before Litestar reads them."""

import json
import re
from typing import Any, Final

import msgspec
from litestar import Request
from msgspec import inspect

from service.errors import InvalidRequestError, WrongMediaTypeError
from service.nearest_name import did_you_mean

_JSON: Final = re.compile(r"application/json *(; *charset=\"?utf-8\"? *)?", re.IGNORECASE)
# How msgspec says that a name in a mapping is wrong, and not what it names.
_OF_A_NAME: Final = re.compile(r" - at `key` in (`\$.*)")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")  # of a path of msgspec's: `$.a.b[0].c[...]`
_PLACE: Final = re.compile(r"\((byte \d+)\)$")
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
        # From the right: the name of an unknown member is the caller's, and can hold anything.
        problem, at, path = str(error).rpartition(" - at `$")
        if (unknown := _UNKNOWN.fullmatch(problem if at else path)) is not None:
            raise _unknown(body.annotation, path.rstrip("`") if at else "", unknown[1]) from error
        problem, _, path = _OF_A_NAME.sub(r" in a name - at \1", str(error)).partition(" - at `$")
        words = problem.replace(_PATTERN, "must hold more than blanks")
        raise InvalidRequestError(path.strip("`.") or "body", words) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Of the parser's words only the place: they may quote the body.
        place = _PLACE.search(str(error))
        where = f"; it is wrong near {place[1]}" if place else ""
        raise InvalidRequestError("body", f"must be one JSON document in UTF-8{where}") from error


def _unknown(annotation: Any, path: str, name: str) -> InvalidRequestError:
    """What is known where a member is not, at a path of msgspec's."""
    steps = [step[1] for step in _STEP.finditer(path)]
    known = sorted(_members(inspect.type_info(annotation), steps))
    meant = did_you_mean(name, known)
    where = f"{path.strip('.')}." if path else ""
    return InvalidRequestError(
        f"{where}{name[:100]}", f"no such member here; there are: {', '.join(known)}{meant}"
    )


def _members(kind: inspect.Type, steps: list[str | None]) -> set[str]:
    """The members of what a type can be at the end of a path; a step of ``None`` is an index."""
    if isinstance(kind, inspect.Metadata):
        return _members(kind.type, steps)
    if isinstance(kind, inspect.UnionType):
        return {name for one in kind.types for name in _members(one, steps)}
    known = _inner(kind)
    if not steps:
        return {name for name in known if name is not None}
    return _members(known[steps[0]], steps[1:]) if steps[0] in known else set()


def _inner(kind: inspect.Type) -> dict[str | None, inspect.Type]:
    """The types inside a type, each with the step that leads to it."""
    match kind:
        case inspect.StructType():
            return {field.encode_name: field.type for field in kind.fields}
        case inspect.ListType():
            return {None: kind.item_type}
        case inspect.DictType():
            return {None: kind.value_type}
        case _:
            return {}


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
