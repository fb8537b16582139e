"""What the agent tells of itself: reported shadow, status file, and its word to systemd.

Source of systemd's protocol: man sd_notify(3).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cedarfleet_device import wire
from cedarfleet_device.files import write_atomically
from cedarfleet_device.guard import failing_threads
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig


def reported(config: DeviceConfig, *, started: float, skew_ms: int) -> dict[str, Any]:
    """The reported state: versions, patch date, free bytes, uptime and clock skew in seconds.

    And the names of threads that fail again and again.
    """
    return {
        "agent": {
            "sdk_version": version("cedarfleet-device"),
            "wire_version": wire.WIRE_VERSION,
            "firmware_version": config.firmware_version,
            "security_patch": config.security_patch,
            "disk_free_bytes": _free(config.download_dir),
            "uptime_seconds": round(time.monotonic() - started),
            "clock_skew_seconds": round(skew_ms / 1000),
            "failing_threads": list(failing_threads()),
        }
    }


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def write_status(folder: Path, status: dict[str, Any]) -> None:
    """Replace ``status.json``, for ``cedarfleet-device status``; not durable: it tells of now.

    A disk that does not take it is told in the log: the device works on.
    """
    try:
        write_atomically(folder / "status.json", json.dumps(status).encode(), durable=False)
    except OSError as error:
        event("status.unwritten", level=logging.WARNING, error=error)


def read_status(folder: Path) -> dict[str, Any] | None:
    """What the agent last wrote, if anything."""
    try:
        return json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        return None


def notify(state: str) -> bool:
    """Send e.g. ``READY=1`` or ``WATCHDOG=1``; whether systemd listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How often systemd must hear ``WATCHDOG=1``: half of its limit; None: it does not watch us."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(
        os.getpid()
    ):
        return None
    return int(microseconds) / 2_000_000
