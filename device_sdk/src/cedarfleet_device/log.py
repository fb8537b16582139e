"""Structured logs: an event name and identifiers, one JSON object a line on standard output.

Never a token, a signed URL, an argument or a payload.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cedarfleet_device.bounds import between
from cedarfleet_device.standard_output import LastingHandler
from cedarfleet_device.wire.pythons import UTC

LOGGER: Final = logging.getLogger("cedarfleet_device")
_MOST_PLACES: Final = 8


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What is kept of the log.

    Attributes:
        keep_bytes: on the disk, for ``upload-logs``; 0: nothing.
    """

    keep_bytes: int = between(0, 67_108_864, 1_048_576)


def event(
    name: str, /, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any
) -> None:
    """Log one event, e.g. ``event("command.acknowledged", command_id=...)``.

    What a handler of the maker's raises is no matter of whoever has something to tell: it would end
    what is being done, and a thread whose failure is being told.

    Args:
        name: static dotted name.
        level: of ``logging``.
        error: its type and text are added.
        fields: identifiers and numbers.
    """
    if error is not None:
        fields["error"] = f"{type(error).__name__}: {str(error)[:300]}"
    try:
        LOGGER.log(level, name, extra={"fields": fields})
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - as above, and there is nobody else to tell
        pass


def places(error: BaseException) -> list[str]:
    """Where ``error`` was raised, outermost call first: ``press.py:12 in spin``; the last 8."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_PLACES:]
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``event`` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def to_stdout(level: str) -> None:
    """Send the SDK's events to standard output.

    The ``cedarfleet-device`` program does it, and ``Agent.run`` in a program that has set up no
    logs at all.
    """
    handler = LastingHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False
