"""Entity uids and attribute values: the types, and their spelling in Cedar's JSON form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, Self, TypeAlias, Union, cast

_UID: Final = re.compile(r'(?P<type>[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)::"(?P<id>[^"\\]+)"')
_DURATION: Final = re.compile(r"(-)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS: Final = ("days", "hours", "minutes", "seconds", "milliseconds")


class EntityUid(NamedTuple):
    """The name of a Cedar entity, e.g. ``EntityUid("Fleet::Device", "press-07")``."""

    type: str
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``Type::"id"``.

        Raises:
            ValueError: not of that form.
        """
        match = _UID.fullmatch(text)
        if match is None:
            example = 'Fleet::Group::"technicians"'
            raise ValueError(f"`{text}` is no entity: write it as in a policy file, e.g. {example}")
        return cls(match["type"], match["id"])

    def __str__(self) -> str:
        return f'{self.type}::"{self.id}"'

    def json(self) -> dict[str, str]:
        """The uid as a member of Cedar's JSON form."""
        return {"type": self.type, "id": self.id}


# A string annotation cannot be an alias on 3.11 without quotes; Union keeps it a runtime value.
Value = Union[  # noqa: UP007 - runtime alias
    str,
    bool,
    int,
    datetime,
    timedelta,
    IPv4Address,
    IPv6Address,
    EntityUid,
    tuple["Value", ...],
    Mapping[str, "Value"],
]
"""What an attribute may hold: ``datetime`` is aware, ``timedelta`` has whole milliseconds, a tuple
is a set and a mapping a record."""


def json_value(value: Value) -> Any:  # noqa: PLR0911 - one per member of the union
    """A value in Cedar's JSON form (docs: Cedar "JSON format for entities")."""
    match value:
        case bool() | int() | str():
            return value
        case datetime():
            return _extension("datetime", datetime_text(value))
        case timedelta():
            return _extension("duration", duration_text(value))
        case IPv4Address() | IPv6Address():
            return _extension("ip", str(value))
        case EntityUid():
            return {"__entity": value.json()}
        case tuple():
            return [json_value(item) for item in value]
        case _:
            return {name: json_value(item) for name, item in value.items()}


_PLAIN: Final = frozenset({str, bool, int, datetime, timedelta, IPv4Address, IPv6Address})
Form: TypeAlias = Any
"""The types in a value, nested as they are; can be compared and hashed."""


def form_of(value: object) -> Form:
    """The types in a value: two of one form fit the same schemas."""
    kind = type(value)
    if kind in _PLAIN:
        return kind
    match value:
        case EntityUid():
            return value.type
        case tuple():
            items = cast("tuple[object, ...]", value)
            return (tuple, frozenset([form_of(item) for item in items]))
        case Mapping():
            members = cast("Mapping[str, object]", value)
            return frozenset([(name, form_of(item)) for name, item in members.items()])
        case _:
            return kind


def datetime_text(moment: datetime) -> str:
    """A moment as Cedar writes one, in UTC to the millisecond: ``2026-12-24T18:00:00.000Z``."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def duration_text(duration: timedelta) -> str:
    """A duration as Cedar writes one, in milliseconds: ``7200000ms``."""
    return f"{duration // timedelta(milliseconds=1)}ms"


def parse_datetime(text: str) -> datetime:
    """Read Cedar's ``datetime("...")``; a date alone is its midnight in UTC.

    Raises:
        ValueError: not of that form.
    """
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_duration(text: str) -> timedelta:
    """Read Cedar's ``duration("...")``, e.g. ``-1d2h3m4s5ms``.

    Raises:
        ValueError: not of that form.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise ValueError(f"`{text}` is no duration")
    sign, *numbers = match.groups()
    found = timedelta(
        **{unit: int(number or 0) for unit, number in zip(_UNITS, numbers, strict=True)}
    )
    return -found if sign else found


def _extension(function: str, argument: str) -> dict[str, Any]:
    return {"__extn": {"fn": function, "arg": argument}}
