"""Logs that devices sent: what each object of the tenant's bucket is called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

LOGS_PREFIX: Final = ".logs/"
_LAST_MS: Final = 9_999_999_999_999
_NAME: Final = re.compile(r"\d{13}-(?P<command>[0-9A-HJKMNP-TV-Z]{26})\.jsonl\.gz")


def log_folder(device: str) -> str:
    """What the keys of a device's logs begin with."""
    return f"{LOGS_PREFIX}{device}/"


def log_key(device: str, command_id: str, created_at: int) -> str:
    """The key of what a command brings.

    S3 lists keys in the order of their bytes (source: S3 API reference, ListObjectsV2), so the time
    counts down in it: the newest come first.

    Args:
        device: its id.
        command_id: of the command.
        created_at: when it was made, in milliseconds since the epoch.
    """
    return f"{log_folder(device)}{_LAST_MS - created_at:013}-{command_id}.jsonl.gz"


def command_of(device: str, key: str) -> str | None:
    """The command that brought what stands under ``key``; ``None``: it is no log of the device."""
    found = _NAME.fullmatch(key.removeprefix(log_folder(device)))
    return found and found["command"]


@dataclass(frozen=True, kw_only=True)
class DeviceLog:
    """One log.

    Attributes:
        command_id: of the command that asked for it.
        size: bytes, compressed.
        received_at: seconds since the epoch.
        url: by which anybody who has it can read the log.
        until: when that ends, in seconds since the epoch.
    """

    command_id: str
    size: int
    received_at: float
    url: str = field(repr=False)
    until: float


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Logs of a device, the newest first; ``cursor`` asks for the next page."""

    logs: tuple[DeviceLog, ...]
    cursor: str | None = None
