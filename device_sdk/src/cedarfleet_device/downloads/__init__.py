"""Files that reach the device whole, verified and in place, or not at all.

Four files tell it: ``jobs`` hears of a file, ``downloader`` is the way in, ``transfer`` the order
of it all, ``fetch`` one round of connections. They name the rest. With I/O: ``target`` (the
target's directory), ``partial_file`` (temporary file, hash, checkpoints), ``progress_journal``
(what a restart may believe), ``range_fetcher`` (one thread for each connection) and
``range_client`` (its HTTP). Rules without I/O: ``names`` (what may become a path), ``ranges``
(which bytes, over how many connections), ``retry``, ``throughput``, ``progress_reports`` (when the
cloud is told). ``outcomes`` is what it all can end with.

The SHA-256 of the job document decides: journal, ETag and ranges only save bytes.
"""

from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.downloads.downloader import Downloader
from cedarfleet_device.downloads.outcomes import (
    Delivered,
    DownloadCancelledError,
    DownloadError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)

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
