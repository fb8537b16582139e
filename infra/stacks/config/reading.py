"""Reads what a stack file holds into a type; what does not fit is refused by file, key and words.

msgspec alone decides whether a value fits its type. Where one does not, the type is walked once
more, only to find the place (msgspec does not name the key of a mapping) and to say what would be
right: the limits, or the `description` of the form.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
MOMENT: Final = "2026-12-31T18:00:00+01:00"
"""An example, for messages."""
HIDDEN: Final = "hidden"
"""In a type's `extra`: what stands there may be a secret, so that no message repeats it."""

# What the Pulumi CLI makes of an unquoted timestamp (source: pulumi sdk/go, config `object`: Go's
# `time.Time.String`); the last word is a zone's name, or the offset again.
_GO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d{4}) \S+")


class ConfigError(ValueError):
    """A stack file does not say what it must; the message names file and key."""


class WrongValueError(ValueError):
    """What a `__post_init__` raises of a value that fits its type and yet is wrong.

    Args:
        key: place below the type's own, e.g. `grants[0].until`.
        words: what would be right, and what it is.
    """

    def __init__(self, key: str, words: str) -> None:
        super().__init__(f"{key}: {words}")
        self.key = key
        self.words = words


class _Refusal(NamedTuple):
    path: str
    words: str

    def below(self, path: str) -> _Refusal:
        return _Refusal(path + self.path, self.words)


def read(kind: type[T], where: str, data: object) -> T:
    """Read a value strictly.

    Args:
        kind: a msgspec type.
        where: file and key so far, e.g. `tenants/Pulumi.acme.yaml: cedarfleet:tenant`.
        data: what stands there, as YAML or JSON give it.

    Raises:
        ConfigError: the first value that does not fit, and what would.
    """
    meant = _meant(kind, data)
    try:
        return msgspec.convert(meant, kind)
    except msgspec.ValidationError as error:
        refusal = _refusal(kind, meant) or _Refusal("", str(error))
        raise ConfigError(f"{where}{refusal.path}: {refusal.words}") from error


def once(key: str, values: Iterable[str]) -> None:
    """Refuse a value that stands twice in a list.

    Raises:
        WrongValueError: it does; for `__post_init__`.
    """
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise WrongValueError(f"{key}[{index}]", f"`{value}` stands twice")
        seen.add(value)


def _meant(kind: Any, value: Any) -> Any:
    """The value with YAML's own readings undone: a bare `on` is a word here, a moment is one."""
    base, _ = _unwrapped(kind)
    inner = get_args(base)
    if get_origin(base) is Literal and isinstance(value, bool) and "on" in inner:
        return "on" if value else "off"
    if base is datetime and isinstance(value, str):
        return _moment(value)
    if isinstance(value, dict):
        table = cast("dict[Any, Any]", value)
        if _is_struct(base):
            hints = _hints(base)
            return {key: _meant(hints.get(key), item) for key, item in table.items()}
        if get_origin(base) is dict:
            return {key: _meant(inner[1], item) for key, item in table.items()}
    if isinstance(value, list) and get_origin(base) is tuple:
        return [_meant(inner[0], item) for item in cast("list[Any]", value)]
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _moment(text: str) -> datetime | str:
    if gos := _GO_TIME.fullmatch(text):
        text = gos[1] + gos[2]
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _refusal(kind: Any, value: Any) -> _Refusal | None:
    """The first place at or below `value` that does not fit; nothing if all does."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        base, meta = _unwrapped(kind)
        if _is_struct(base):
            return _of_struct(base, value, error)
        if get_origin(base) is dict:
            return _of_table(base, meta, value)
        if get_origin(base) is tuple:
            return _of_list(base, meta, value)
        return _Refusal("", _words(base, meta, value))
    return None


def _of_struct(base: Any, value: Any, error: msgspec.ValidationError) -> _Refusal | None:
    if not isinstance(value, dict) or not all(
        isinstance(key, str) for key in cast("dict[object, object]", value)
    ):
        return _Refusal("", f"must be a mapping, is `{value!r}`")
    table = cast("dict[str, Any]", value)
    hints = get_type_hints(base, include_extras=True)
    for key in sorted(table.keys() - hints.keys()):
        return _Refusal(f".{key}", _unknown(key, hints))
    for field in msgspec.structs.fields(base):
        if field.name not in table:
            if field.required:
                return _Refusal(f".{field.name}", "missing")
        elif found := _refusal(hints[field.name], table[field.name]):
            return found.below(f".{field.name}")
    # Each value fits, so the type refuses them together; msgspec keeps what it raised as the cause.
    wrong = error.__cause__
    return _Refusal(f".{wrong.key}", wrong.words) if isinstance(wrong, WrongValueError) else None


def _unknown(key: str, known: Iterable[str]) -> str:
    words = f"unknown key; known are {', '.join(f'`{one}`' for one in sorted(known))}"
    near = get_close_matches(key, known, n=1)
    return f"{words}; did you mean `{near[0]}`?" if near else words


def _of_table(base: Any, meta: msgspec.Meta | None, value: Any) -> _Refusal | None:
    if not isinstance(value, dict):
        return _Refusal("", f"must be a mapping, is `{value!r}`")
    key_kind, item_kind = get_args(base)
    for key, item in cast("dict[Any, Any]", value).items():
        if not isinstance(key, str):
            return _Refusal(f".{key}", "must be a text: write the name in quotes")
        if found := _refusal(key_kind, key):
            words = found.words.removesuffix(f", is `{key}`")
            return _Refusal(f".{key}", words)
        if found := _refusal(item_kind, item):
            return found.below(f".{key}")
    # Each entry fits, so they are too many, if anything is wrong at all.
    count = len(cast("dict[Any, Any]", value))
    fits = meta is None or meta.max_length is None or count <= meta.max_length
    return None if fits else _Refusal("", _too_many(meta, count))


def _of_list(base: Any, meta: msgspec.Meta | None, value: Any) -> _Refusal:
    if not isinstance(value, list):
        return _Refusal("", f"must be a list, is `{value!r}`")
    items = cast("list[Any]", value)
    if meta and meta.description:  # it describes the list as a whole
        return _Refusal("", f"{meta.description}, is `{items}`")
    for index, item in enumerate(items):
        if found := _refusal(get_args(base)[0], item):
            return found.below(f"[{index}]")
    if not items:
        return _Refusal("", "must not be empty")
    return _Refusal("", _too_many(meta, len(items)))


def _too_many(meta: msgspec.Meta | None, count: int) -> str:
    most = meta.max_length if meta else None
    return f"must have at most {most} entries, has {count}"


def _words(base: Any, meta: msgspec.Meta | None, value: Any) -> str:
    """What is wrong with one value that has no parts."""
    if get_origin(base) is Literal:
        return f"must be one of {', '.join(map(str, get_args(base)))}, is `{value}`"
    if base is bool:
        return f"must be true or false, is `{value!r}`"
    if base is int and meta:
        return f"must be a whole number from {meta.ge} to {meta.le}, is `{value!r}`"
    if base is not datetime:
        return _words_of_text(meta, value)
    if isinstance(value, datetime):
        return f"must carry its offset, such as {MOMENT}, is `{value.isoformat()}`"
    return f"must be a moment such as {MOMENT}, is `{value}`"


def _words_of_text(meta: msgspec.Meta | None, value: Any) -> str:
    if not isinstance(value, str) or not value:
        shown = value.isoformat() if isinstance(value, date) else repr(value)
        return f"must be a text, is `{shown}`"
    if meta and meta.max_length is not None and len(value) > meta.max_length:
        return f"must have at most {meta.max_length} characters, has {len(value)}"
    words = (meta and meta.description) or "must be another text"
    return words if meta and (meta.extra or {}).get(HIDDEN) else f"{words}, is `{value}`"


def _unwrapped(kind: Any) -> tuple[Any, msgspec.Meta | None]:
    """A type without `| None`, and what its annotation limits."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Annotated:
        base, meta, *_ = get_args(kind)
        return base, meta
    return kind, None


def _is_struct(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, msgspec.Struct)
