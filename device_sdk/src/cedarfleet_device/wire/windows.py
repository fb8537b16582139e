"""A maintenance window: the hours of a day in which something may begin, by the clock of a place.

One fact in three places: policies decide by it when a file is sent and when its wave begins, the
service makes jobs in it, and a device asks once more before it installs. Form and arithmetic stand
here; a device's fact `window` is read by the policies' own model, and the base policy
``firmware-in-maintenance-window`` has the arithmetic in Cedar's words: a test holds all to one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_FORM: Final = re.compile(rf"(?P<start>{_CLOCK})-(?P<end>{_CLOCK})")
_DAY: Final = 24 * 60


@dataclass(frozen=True)
class Hours:
    """From ``start`` to before ``end``, minutes of the day; equal ones are never.

    It may pass midnight. Seconds do not count, since an edge has none.
    """

    start: int
    end: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``HH:MM-HH:MM``.

        Raises:
            ValueError: it is not of the form.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError("must be like `22:00-04:00`")
        return cls(_minute(match["start"]), _minute(match["end"]))

    def is_open(self, minute: int) -> bool:
        """Whether a minute of the day (0 to 1439) is inside."""
        return (minute - self.start) % _DAY < (self.end - self.start) % _DAY


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)
