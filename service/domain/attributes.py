"""The attributes that a tenant sets on its devices: the form of each, and what the policies see of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.domain.decisions import Value

ONE_OFFSET: Final = "a device has a `time_zone` or a fixed `utc_offset`, not both"

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>0[0-9]|1[0-4]):(?P<minutes>[0-5][0-9])")
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_WINDOW: Final = re.compile(rf"(?P<start>{_CLOCK})-(?P<end>{_CLOCK})")
_ZONE: Final = re.compile(
    r"[A-Za-z]+(?:/[A-Za-z0-9_-]+){1,2}"
)  # no `+`, which IoT Core does not store
_LEVELS: Final = ("low", "medium", "high")


def check_attributes(changes: Mapping[str, str | None]) -> None:
    """Refuse changes that could not be read back.

    Raises:
        InvalidRequestError: an attribute is not of its form.
    """
    for name, text in changes.items():
        if text is None:
            continue
        try:
            ATTRIBUTES[name](text)
        except ValueError as error:
            raise InvalidRequestError(name, str(error)) from error


def check_one_offset(stored: Mapping[str, str], changes: Mapping[str, str | None]) -> None:
    """Refuse changes that would leave a device with a time zone beside a fixed offset.

    Raises:
        InvalidRequestError: names the attribute that was given, and how to change over.
    """
    if not has_two_offsets({**stored, **changes}):
        return
    given, other = (
        ("time_zone", "utc_offset") if changes.get("time_zone") else ("utc_offset", "time_zone")
    )
    raise InvalidRequestError(
        given, f"{ONE_OFFSET}: to change over, set `{other}` to null in the same request"
    )


def has_two_offsets(attributes: Mapping[str, str | None]) -> bool:
    """Whether a time zone stands beside a fixed offset, so that nobody knows which of the two holds."""
    return all(attributes.get(name) is not None for name in ("time_zone", "utc_offset"))


def _label(name: str) -> Callable[[str], dict[str, Value]]:
    def parse(text: str) -> dict[str, Value]:
        if _LABEL.fullmatch(text) is None:
            raise ValueError("must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`")
        return {name: text}

    return parse


def _criticality(text: str) -> dict[str, Value]:
    if text not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}")
    return {"criticality": text}


def _utc_offset(text: str) -> dict[str, Value]:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("must be like `+02:00`, at most 14 hours")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return {"utc_offset": -offset if match["sign"] == "-" else offset}


def _time_zone(text: str) -> dict[str, Value]:
    if _ZONE.fullmatch(text) is None or text not in _zones():
        raise ValueError("must be an IANA time zone like `Europe/Berlin`, written exactly so")
    return {}  # policies see the `utc_offset` of the moment: `Entity.at`


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _window(text: str) -> dict[str, Value]:
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError("must be like `22:00-04:00`, device-local time")
    return {"window_start": _time_of_day(match["start"]), "window_end": _time_of_day(match["end"])}


def _time_of_day(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _security_patch(text: str) -> dict[str, Value]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError("must be a date like `2026-10-01`")
    return {"security_patch": datetime(day.year, day.month, day.day, tzinfo=UTC)}


ATTRIBUTES: Final[Mapping[str, Callable[[str], dict[str, Value]]]] = {
    "kind": _label("kind"),
    "region": _label("region"),
    "criticality": _criticality,
    "utc_offset": _utc_offset,
    "time_zone": _time_zone,
    "window": _window,
    "security_patch": _security_patch,
}
"""Each attribute that a tenant sets, with its reader into Cedar attributes; the reader raises ``ValueError``."""
