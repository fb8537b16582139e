"""What a download can end with: ``Delivered``, or an error that says who must act.

::

    DownloadError
    ├── DownloadRefusedError       trying again will not heal it; ``reason`` says who must act
    │   └── DiskFullError          there was no room for longer than the device waits for it
    └── DownloadFailedError        the retry budget is used up; the next ``fetch`` goes on
        └── DownloadCancelledError the caller asked to stop; the next ``fetch`` goes on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cedarfleet_device.wire.pythons import StrEnum

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """A file that is in place.

    Attributes:
        path: where.
        sha256: its digest, 64 lower-case hex digits, equal to the announced one.
        size: bytes.
        bytes_fetched: body bytes that this call received for it: less than ``size`` after a resume,
            0 if it was there.
    """

    path: Path
    sha256: str
    size: int
    bytes_fetched: int


class Reason(StrEnum):
    """Why a download was refused; short enough for the status details of an IoT Job."""

    NAME = "name"  # the artifact's name must not become a path on this device
    URL = "url"  # not a URL that this device fetches from
    TOO_LARGE = "too-large"  # larger than the device's limit
    DISK = "disk"  # no space, read-only, or the file cannot be written
    SERVER = "server"  # the server refused in a way that trying again does not change
    CHANGED = "changed"  # the object is not, or no longer, the announced one
    DIGEST = "digest"  # the bytes are not the announced ones
    INSTALL = "install"  # the hook after verification raised; the previous file is back


class DownloadError(Exception):
    """A file was not delivered; whatever stood at the target before still stands there."""


class DownloadRefusedError(DownloadError):
    """Trying again would end the same way.

    Attributes:
        reason: who must act on what; the message says it in words.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DiskFullError(DownloadRefusedError):
    """There is no room at the moment (``Reason.DISK``), and somebody may make some."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.DISK, message)


class DownloadFailedError(DownloadError):
    """Every retry was used; a later ``fetch`` of the same document resumes."""


class DownloadCancelledError(DownloadFailedError):
    """``cancelled()`` became true; a later ``fetch`` of the same document resumes."""
