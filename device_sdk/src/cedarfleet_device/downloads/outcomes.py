"""What a download can end with, split by who must act.

::

    DownloadError
    ├── DownloadRefusedError       trying again will not heal it: the sender or the device's owner must act (``reason``)
    └── DownloadFailedError        the retry budget is used up; what was fetched is kept for the next ``fetch``
        └── DownloadCancelledError the caller asked to stop; kept likewise
"""

from __future__ import annotations

from enum import StrEnum


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


class DownloadFailedError(DownloadError):
    """Every retry was used; a later ``fetch`` of the same document resumes."""


class DownloadCancelledError(DownloadFailedError):
    """``cancelled()`` became true; a later ``fetch`` of the same document resumes."""
