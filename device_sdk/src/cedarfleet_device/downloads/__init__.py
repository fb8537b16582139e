"""Files that reach the device whole, verified and in place, or not at all.

Rules without I/O: ``names`` (what may become a path), ``ranges`` (which bytes, over how many connections),
``range_client.answers`` (what an HTTP answer means), ``retry``, ``throughput``, ``range_client.url``, ``limits``.
With I/O: ``target`` (the target's directory), ``partial_file`` (temporary file, hash, checkpoints),
``progress_journal`` (what a restart may believe), ``range_client``, ``range_fetcher`` (one thread for each
connection), ``fetch`` (one round of them). ``transfer`` is the order of it all, ``downloader`` the way in, ``jobs``
what asks for it.

The SHA-256 of the job document decides: journal, ETag and ranges only save bytes.
"""

from cedarfleet_device.downloads.downloader import Delivered, Downloader
from cedarfleet_device.downloads.limits import DownloadLimits
from cedarfleet_device.downloads.outcomes import (
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
