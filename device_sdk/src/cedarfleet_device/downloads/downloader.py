"""The way in: ``Downloader.fetch`` brings a job document's file, verified or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.outcomes import (
    Delivered,
    DownloadError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.pace import Pace
from cedarfleet_device.downloads.partial_file import disk_trouble
from cedarfleet_device.downloads.progress_journal import ProgressJournal
from cedarfleet_device.downloads.range_client.tls import tls_context
from cedarfleet_device.downloads.target import Target
from cedarfleet_device.downloads.transfer import Callbacks, Transfer
from cedarfleet_device.files import DISK, Disk
from cedarfleet_device.log import event

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator
    from pathlib import Path

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.wire import DownloadDocument


_REAL_TIME: Final = Pace()
# RFC 9110, 8.8.3; empty: not announced.
_ETAG: Final = re.compile(r'(?:(?:W/)?"[\x21\x23-\x7e]{0,200}")?')


def never() -> bool:
    """A download that nobody cancels."""
    return False


class Downloader:
    """Fetches files into one folder.

    The file is streamed to a temporary file beside its target and moved there only when its size
    and SHA-256 are the announced ones; at every instant the target holds a whole file, the old or
    the new. After ``kill -9``, power loss, lost network or an expired URL, ``fetch`` of the same
    document goes on where it was.
    """

    def __init__(
        self,
        *,
        folder: Path,
        state_dir: Path,
        limits: DownloadLimits,
        on_verified: Callable[[Path], None] | None = None,
        disk: Disk = DISK,
        pace: Pace = _REAL_TIME,
    ) -> None:
        """Prepare.

        Args:
            folder: below it the files are put, by the artifact's name.
            state_dir: the journals go to ``downloads`` below it; must survive a restart.
            limits: what a download may cost.
            on_verified: called with the file in place (install it). When it raises, the previous
                file is put back and the download is refused with ``Reason.INSTALL``. It runs again
                when power went before its end was saved.
            disk: makes files and their names durable.
            pace: how it waits between tries.

        Raises:
            OSError: ``limits.ca_file`` cannot be read or ``state_dir`` not be made.
        """
        self._folder = folder
        self._state = state_dir / "downloads"
        disk.make_folder(self._state, mode=0o700)
        self._limits = limits
        self._on_verified = on_verified
        self._disk, self._pace = disk, pace
        if limits.ca_file is not None:
            # A wrong file is noticed now; the system's many authorities are read when first needed.
            _ = self._tls

    def fetch(
        self,
        document: DownloadDocument,
        *,
        refresh_url: Callable[[], str],
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] = never,
        hook: bool = True,
    ) -> Delivered:
        """Deliver the file of ``document``.

        All callbacks run in the calling thread.

        Args:
            document: name, size, SHA-256, ETag and URL; the URL may be expired.
            refresh_url: asks the job for a fresh URL; called when the server answers 403. What it
                raises counts as a lost network.
            progress: gets bytes that are there and bytes in all, at most four times a second, and
                at the end.
            cancelled: asked several times a second.
            hook: whether ``on_verified`` is called.

        Raises:
            DownloadRefusedError: it will not heal; ``reason`` says who must act.
            DownloadFailedError: the retry budget is used up, or another process is at this file;
                try again later.
            DownloadCancelledError: ``cancelled()`` was true.
        """
        if document.size > self._limits.max_bytes:
            raise DownloadRefusedError(
                Reason.TOO_LARGE,
                f"`{document.name}` has {document.size} bytes,"
                f" this device takes at most {self._limits.max_bytes}",
            )
        if _ETAG.fullmatch(document.etag) is None:  # it becomes part of a request's header
            raise DownloadRefusedError(
                Reason.URL, f"the ETag of `{document.name[:80]!a}` is malformed; S3's has quotes"
            )
        with self._target(document.name) as target, self._alone(target):
            transfer = Transfer(
                document,
                target=target,
                journal=self._journal(target),
                limits=self._limits,
                tls=lambda: self._tls,
                callbacks=Callbacks(
                    refresh_url=refresh_url,
                    progress=progress,
                    cancelled=cancelled,
                    on_verified=self._on_verified if hook else None,
                ),
                disk=self._disk,
                pace=self._pace,
            )
            fetched = transfer.run()
            return Delivered(
                path=target.path, sha256=document.sha256, size=document.size, bytes_fetched=fetched
            )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context(self._limits.ca_file)

    def discard(self, name: str) -> None:
        """Drop what was fetched of a file that is no longer wanted; the target stays as it is.

        Raises:
            DownloadRefusedError: the name is no artifact's.
            DownloadFailedError: the file is being fetched.
        """
        with (
            self._target(name) as target,
            self._alone(target),
            disk_trouble("discard the download"),
        ):
            target.drop_part()
            self._journal(target).clear()
            target.drop_previous()

    def discard_all(self) -> None:
        """Drop what was fetched of every file, where nobody wants one any more.

        What cannot be dropped is left for the next time: somebody fetches it, or the disk refuses.
        """
        for file in self._state.glob("*.json"):
            entry = ProgressJournal(self._state, file.stem, disk=self._disk).read()
            if entry is None:
                continue
            try:
                self.discard(entry.name)
            except DownloadError as error:
                event(
                    "download.not_discarded",
                    level=logging.WARNING,
                    error=error,
                    artifact=entry.name,
                )
            else:
                event("download.discarded", artifact=entry.name, received=entry.prefix)

    def _target(self, name: str) -> Target:
        return Target(self._folder, name, disk=self._disk)

    def _journal(self, target: Target) -> ProgressJournal:
        return ProgressJournal(self._state, target.key, disk=self._disk)

    @contextmanager
    def _alone(self, target: Target) -> Generator[None]:
        """Keep other threads and processes off this file.

        The kernel frees the lock of a process that dies.
        """
        with disk_trouble("lock the download"):
            handle = os.open(
                self._state / f"{target.key}.lock",
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DownloadFailedError(
                    f"`{target.path.name}` is being fetched by another process or thread"
                ) from error
            yield
        finally:
            os.close(handle)
