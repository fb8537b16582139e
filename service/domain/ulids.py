"""Identifiers that sort by time: ULIDs (spec: ulid/spec on GitHub), 48 bits of milliseconds and 80 random bits."""

from __future__ import annotations

import secrets
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_LENGTH: Final = 26


def new_ulid(at_ms: int) -> str:
    """A fresh ULID for the instant ``at_ms``, in milliseconds since the epoch; 26 characters."""
    number = (at_ms << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
