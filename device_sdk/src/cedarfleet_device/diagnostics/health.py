"""What a device tells of itself: reported shadow, presence and the agent's own metrics."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cedarfleet_device import wire

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig


@dataclass(kw_only=True)
class Metrics:
    """Counters since the agent started.

    Attributes:
        connects: connections made.
        disconnects: connections lost, or attempts that failed.
        received: commands taken into the inbox.
        duplicates: deliveries of a command that was known.
        rejected: messages that were refused.
        unreportable: messages that were refused and carried no command id to report under.
        store_failures: deliveries that could not be stored and were left for the broker to send again.
        ended: commands by final state.
        jobs: jobs by outcome.
    """

    connects: int = 0
    disconnects: int = 0
    received: int = 0
    duplicates: int = 0
    rejected: int = 0
    unreportable: int = 0
    store_failures: int = 0
    ended: dict[str, int] = field(default_factory=dict[str, int])
    jobs: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """One more of a counter."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)

    def count_in(self, name: str, key: str) -> None:
        """One more of ``ended`` or ``jobs``."""
        with self._lock:
            table: dict[str, int] = getattr(self, name)
            table[key] = table.get(key, 0) + 1

    def snapshot(self) -> dict[str, Any]:
        """All counters, as JSON members."""
        with self._lock:
            return asdict(self)


def shadow_topic(thing: str) -> str:
    """Where the reported state goes (docs: AWS IoT "Device Shadow MQTT topics")."""
    return f"$aws/things/{thing}/shadow/update"


def reported(config: DeviceConfig, *, started: float, skew_ms: int) -> dict[str, Any]:
    """The reported state: versions, patch date, free bytes for downloads, uptime and clock skew in seconds."""
    return {
        "agent": {
            "sdk_version": version("cedarfleet-device"),
            "wire_version": wire.WIRE_VERSION,
            "firmware_version": config.firmware_version,
            "security_patch": config.security_patch,
            "disk_free_bytes": _free(config.download_dir),
            "uptime_seconds": round(time.monotonic() - started),
            "clock_skew_seconds": round(skew_ms / 1000),
        }
    }


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
