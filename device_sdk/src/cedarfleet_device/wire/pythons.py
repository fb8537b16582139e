"""What the oldest Python that devices have (3.10) lacks: read from here, the same on each.

In ``wire``, which service and infra read too, and which has nothing but the standard library.
"""

from __future__ import annotations

import enum
import sys
from datetime import timezone

UTC = timezone.utc

if sys.version_info >= (3, 11):
    StrEnum = enum.StrEnum
else:

    class StrEnum(str, enum.Enum):
        """A text of a closed list; it prints as the text (docs: Python ``enum.StrEnum``)."""

        __str__ = str.__str__


__all__ = ["UTC", "StrEnum"]
