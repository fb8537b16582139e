"""What devices measure: the last value of each topic, as a rule wrote it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from service.domain.json_limits import problem_of

UNREADABLE: Final = "what the device sent is no JSON that can be said again"


@dataclass(frozen=True, kw_only=True)
class LastValue:
    """The last that came of one topic; which may be older than one that came before it.

    The rules engine keeps no order (source: AWS IoT developer guide, "Rules for AWS IoT", says none
    is kept), and a device that was away sends what it kept: ``at`` tells.

    Attributes:
        topic: e.g. `motor/left`.
        text: JSON, as the device wrote it; anything, from a device that is not our agent.
        sequence: the device's number of the message; ``None``: not of its form.
        at: milliseconds since the epoch, by the device; ``None``: not of its form.
        received_at: the same by AWS IoT.
    """

    topic: str
    text: str
    sequence: int | None
    at: int | None
    received_at: int | None

    def value(self) -> tuple[Any, str | None]:
        """The value, and what keeps it from being read; of the two one is ``None``."""
        try:
            value: Any = json.loads(self.text)
        except (ValueError, RecursionError):
            return None, UNREADABLE
        return (None, UNREADABLE) if problem_of(value) else (value, None)


@dataclass(frozen=True, kw_only=True)
class LastValues:
    """One page, by topic; ``cursor`` asks for the next."""

    values: tuple[LastValue, ...]
    cursor: str | None = None
