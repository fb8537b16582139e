"""Reads what a tenant says of a device: each fact's form in IoT Core, and what policies see of it.

IoT Core stores text by name. One fact may be more than one Cedar attribute (``window``) or none by
itself (``time_zone``, which gives the ``utc_offset`` of the moment: ``entities.Entity.at``).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import available_timezones

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.cedar.values import Value

ONE_OFFSET: Final = "a device has a `time_zone` or a fixed `utc_offset`, not both"

LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>0[0-9]|1[0-4]):(?P<minutes>[0-5][0-9])")
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
WINDOW: Final = re.compile(rf"(?P<start>{_CLOCK})-(?P<end>{_CLOCK})")
# No `+`, which IoT Core does not store.
ZONE: Final = re.compile(r"[A-Za-z]+(?:/[A-Za-z0-9_-]+){1,2}")
LEVELS: Final = ("low", "medium", "high")
"""What ``criticality`` may be; the schema of the policies lists the same."""


class DeviceFactError(ValueError):
    """A fact is not of its form, or contradicts another.

    Attributes:
        fact: its name, or ``None`` if several contradict each other.
    """

    def __init__(self, fact: str | None, words: str) -> None:
        super().__init__(words)
        self.fact = fact


def device_attributes(facts: Mapping[str, str]) -> dict[str, Value]:
    """The Cedar attributes that a device has by its facts; names that are no fact are left out.

    Raises:
        DeviceFactError: a policy must not decide without this fact.
    """
    # Fail closed: nobody knows which of the two offsets holds.
    if has_two_offsets(facts):
        raise DeviceFactError(None, ONE_OFFSET)
    attributes: dict[str, Value] = {}
    for name, text in facts.items():
        if name in DEVICE_FACTS:
            attributes |= read_fact(name, text)
    return attributes


def read_fact(name: str, text: str) -> dict[str, Value]:
    """The Cedar attributes of one fact.

    Raises:
        DeviceFactError: the text is not of the fact's form.
        KeyError: there is no such fact.
    """
    try:
        return DEVICE_FACTS[name](text)
    except ValueError as error:
        raise DeviceFactError(name, str(error)) from error


def has_two_offsets(facts: Mapping[str, str | None]) -> bool:
    """Whether a time zone stands beside a fixed offset."""
    return all(facts.get(name) is not None for name in ("time_zone", "utc_offset"))


def _label(name: str) -> Callable[[str], dict[str, Value]]:
    def parse(text: str) -> dict[str, Value]:
        if LABEL.fullmatch(text) is None:
            raise ValueError("must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`")
        return {name: text}

    return parse


def _criticality(text: str) -> dict[str, Value]:
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return {"criticality": text}


def _utc_offset(text: str) -> dict[str, Value]:
    match = OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("must be like `+02:00`, at most 14 hours")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return {"utc_offset": -offset if match["sign"] == "-" else offset}


def _time_zone(text: str) -> dict[str, Value]:
    if ZONE.fullmatch(text) is None or text not in _zones():
        raise ValueError("must be an IANA time zone like `Europe/Berlin`, written exactly so")
    return {}


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _window(text: str) -> dict[str, Value]:
    match = WINDOW.fullmatch(text)
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


DEVICE_FACTS: Final[Mapping[str, Callable[[str], dict[str, Value]]]] = {
    "kind": _label("kind"),
    "region": _label("region"),
    "criticality": _criticality,
    "utc_offset": _utc_offset,
    "time_zone": _time_zone,
    "window": _window,
    "security_patch": _security_patch,
}
"""Each fact with its reader into Cedar attributes; the reader raises ``ValueError``."""
FACTS_OF: Final[Mapping[str, frozenset[str]]] = {
    "tenant": frozenset(),
    "kind": frozenset({"kind"}),
    "region": frozenset({"region"}),
    "criticality": frozenset({"criticality"}),
    "utc_offset": frozenset({"utc_offset", "time_zone"}),
    "window_start": frozenset({"window"}),
    "window_end": frozenset({"window"}),
    "security_patch": frozenset({"security_patch"}),
}
"""Each Cedar attribute of a device with the facts that it depends on, beside the moment."""
