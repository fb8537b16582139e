"""Files that reach the device whole, verified and in place, or not at all.

Rules without I/O: ``names`` (what may become a path), ``ranges`` (which bytes, over how many connections),
``answers`` (what an HTTP answer means), ``retry``, ``pacing``, ``address``, ``limits``. With I/O: ``folder`` (the
target's directory), ``sink`` (temporary file, hash, checkpoints), ``journal`` (what a restart may believe),
``tls``, ``connection``, ``receiver`` (one thread for each connection), ``crew`` (one round of them). ``delivery`` is
the order of it all, ``downloader`` the way in.

The SHA-256 of the job document decides: journal, ETag and ranges only save bytes.
"""

from cedarfleet_device.downloads.downloader import Delivered, Downloader
from cedarfleet_device.downloads.errors import (
    DownloadCancelledError,
    DownloadError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.limits import DownloadLimits

__all__ = [
    "Delivered",
    "DownloadCancelledError",
    "DownloadError",
    "DownloadFailedError",
    "DownloadLimits",
    "DownloadRefusedError",
    "Downloader",
    "Reason",
]
