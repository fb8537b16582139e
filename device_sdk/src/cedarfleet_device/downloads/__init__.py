"""Files that reach the device whole, verified and in place, or not at all."""

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
