"""Instants in milliseconds since the epoch, and the identifiers that sort by them.

The identifiers are ULIDs: 48 bits of milliseconds and 80 random bits (spec: ulid/spec on GitHub).
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final, Protocol

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_LENGTH: Final = 26


class Clock(Protocol):
    """Whatever tells the time."""

    def __call__(self) -> datetime:
        """The time of now, with a time zone."""
        ...


def now_in_utc() -> datetime:
    """The time of now."""
    return datetime.now(UTC)


def milliseconds(instant: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return int(instant.timestamp() * 1000)


def new_ulid(at_ms: int) -> str:
    """A fresh ULID for the instant ``at_ms``, in milliseconds since the epoch; 26 characters."""
    return _ulid((at_ms << 80) | secrets.randbits(80))


def first_ulid(at_ms: int) -> str:
    """The smallest ULID of the instant ``at_ms``: no id of it or later sorts before."""
    return _ulid(at_ms << 80)


def time_of(ulid: str) -> int:
    """The instant of a ULID, in milliseconds since the epoch.

    Raises:
        ValueError: it is none.
    """
    if len(ulid) != _LENGTH:
        raise ValueError("no ULID")
    number = 0
    for letter in ulid:
        number = number << 5 | _ALPHABET.index(letter)
    return number >> 80


def _ulid(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
