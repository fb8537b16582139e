"""Which right each role has used: what IAM was asked, and what it said."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "CEDARFLEET_RIGHTS_FILE"
"""Environment variable that names a file; each right that is used for the first time is a line."""

_SESSION: Final = re.compile(r"arn:aws:sts::\d+:assumed-role/(?P<role>[^/]+)/")


@dataclass(frozen=True, kw_only=True, order=True)
class Used:
    """A right that was asked for.

    Attributes:
        role: name of the role, without its path.
        action: of IAM, e.g. `s3:GetObject`.
        allowed: what IAM said.
    """

    role: str
    action: str
    allowed: bool

    @property
    def line(self) -> str:
        """Role, action and answer, parted by tabs."""
        return f"{self.role}\t{self.action}\t{'allowed' if self.allowed else 'denied'}"

    @classmethod
    def of(cls, line: str) -> Used:
        """Read such a line."""
        role, action, answer = line.split("\t")
        return cls(role=role, action=action, allowed=answer == "allowed")


class Rights:
    """What the sessions of roles have asked for; of the root user and of people nothing is kept."""

    def __init__(self) -> None:
        file = os.environ.get(FILE)
        self._file = Path(file) if file else None
        self._seen: set[Used] = set()
        self._mutex = threading.Lock()

    def note(self, principal: str, action: str, *, allowed: bool) -> None:
        """Keep what a session asked for."""
        found = _SESSION.match(principal)
        if found is None:
            return
        used = Used(role=found["role"], action=action, allowed=allowed)
        with self._mutex:
            if used in self._seen:
                return
            self._seen.add(used)
            if self._file is not None:
                # Several clouds may write into it: a short line is appended as a whole (POSIX).
                with self._file.open("a") as file:
                    file.write(f"{used.line}\n")

    def used(self) -> frozenset[Used]:
        """Everything so far."""
        with self._mutex:
            return frozenset(self._seen)
