"""Bring one file to its target: fetch, verify, put in place, run the hook; each step resumable."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.fetch import FetchRound
from cedarfleet_device.downloads.outcomes import (
    DiskFullError,
    DownloadCancelledError,
    DownloadError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.partial_file import PartialFile, disk_trouble
from cedarfleet_device.downloads.progress_journal import Progress, Stage
from cedarfleet_device.downloads.range_client.answers import (
    ChangedObjectError,
    ExpiredUrlError,
    NoRangesError,
    TryAgainError,
    UnreachableError,
)
from cedarfleet_device.downloads.range_client.url import parse_address
from cedarfleet_device.downloads.ranges import checkpoint_step
from cedarfleet_device.downloads.retry import RetryBudget
from cedarfleet_device.downloads.throughput import TokenBucket
from cedarfleet_device.errors import CloudError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.downloads.pace import Pace
    from cedarfleet_device.downloads.progress_journal import ProgressJournal
    from cedarfleet_device.downloads.target import Target
    from cedarfleet_device.files import Disk
    from cedarfleet_device.wire import DownloadDocument

# The object may change once while it is fetched; more is a fault of the sender.
_MOST_CHANGES: Final = 2
_MOST_FRESH_URLS: Final = 3  # in a row, none of which was accepted
_PROGRESS_SECONDS: Final = 0.25
_LOOK_FOR_ROOM_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What the caller of a download is asked and told, all in its own thread."""

    refresh_url: Callable[[], str]
    progress: Callable[[int, int], None] | None
    cancelled: Callable[[], bool]
    on_verified: Callable[[Path], None] | None


class Transfer:
    """One run of one download."""

    def __init__(
        self,
        document: DownloadDocument,
        *,
        target: Target,
        journal: ProgressJournal,
        limits: DownloadLimits,
        tls: Callable[[], ssl.SSLContext],
        callbacks: Callbacks,
        disk: Disk,
        pace: Pace,
    ) -> None:
        """Prepare; ``run`` does everything. ``tls`` is called when the URL is https."""
        self._disk, self._pace = disk, pace
        self._document, self._target, self._journal = document, target, journal
        self._limits, self._tls, self._callbacks = limits, tls, callbacks
        self._bucket = TokenBucket(limits.bytes_per_second)
        self._budget = RetryBudget(
            limits=limits,
            step=checkpoint_step(document.size, most=limits.checkpoint_bytes),
            now=pace.now,
        )
        self._connections = limits.connections
        self._url = document.url
        self._changes = self._wrong_digests = self._stale_urls = 0
        self._accepted_at = -1
        self._roomless_at, self._roomless_since = -1, 0.0
        self._told_at = 0.0

    def run(self) -> int:
        """Deliver; the body bytes that were fetched for it by this call.

        Raises:
            DownloadError: as ``Downloader.fetch`` says.
        """
        entry = self._journal.read()
        if entry is None or not entry.is_of(self._document):
            entry = Progress.fresh(self._document)
            self._target.drop_part()
        with disk_trouble("read the target"):
            is_there = not self._target.has_part() and self._target.holds(
                self._document.size, self._document.sha256
            )
        if is_there:
            self._install(can_roll_back=entry.stage is Stage.PLACING)
            return 0
        try:
            with disk_trouble("open the temporary file"):
                handle = self._target.open_part()
            file = PartialFile(
                handle,
                self._journal,
                replace(entry, stage=Stage.FETCHING),
                limits=self._limits,
                free_bytes=self._target.free_bytes,
                disk=self._disk,
            )
            try:
                self._fetch(file)
                received, entry = file.received, file.entry
            finally:
                file.close()
            with disk_trouble("put the file in place"):
                self._journal.write(replace(entry, stage=Stage.PLACING))
                self._target.put(keep_previous=self._callbacks.on_verified is not None)
        except DownloadRefusedError:
            self._forget()  # the device gets its disk back
            raise
        self._install(can_roll_back=True)
        return received

    def _fetch(self, file: PartialFile) -> None:
        """Until the temporary file holds the announced bytes."""
        file.recover(self._callbacks.cancelled)
        self._await_room(file)
        while True:
            self._tell(file, final=False)
            if not file.missing and self._is_right(file):
                self._tell(file, final=True)
                return
            try:
                self._round(file)
                self._stale_urls = 0
            except ExpiredUrlError as error:
                self._renew(file, error)
            except ChangedObjectError as error:
                self._start_over_with_new_object(file, error)
            except TryAgainError as error:
                if isinstance(error, NoRangesError):
                    self._connections = 1
                self._pause(file, error)
            except DownloadCancelledError:
                file.checkpoint()
                raise
            except DiskFullError as error:
                self._await_room(file, error)

    def _await_room(self, file: PartialFile, full: DiskFullError | None = None) -> None:
        """Wait until there is room for what is missing, and keep what is there.

        Args:
            file: what is fetched.
            full: what was met, if something was: then there is a pause in any case.

        Raises:
            DiskFullError: none came in time since bytes came last.
            DownloadCancelledError: while waiting.
        """
        if file.received != self._roomless_at:
            self._roomless_at, self._roomless_since = file.received, self._pace.now()
        while True:
            try:
                if full is not None:
                    raise full
                file.check_room()
            except DiskFullError as error:
                if self._pace.now() - self._roomless_since >= self._limits.room_seconds:
                    raise
                event(
                    "download.no_room", level=logging.WARNING, artifact=file.entry.name, why=error
                )
                self._wait(min(_LOOK_FOR_ROOM_SECONDS, self._limits.room_seconds))
                full = None
            else:
                return

    def _round(self, file: PartialFile) -> None:
        if self._callbacks.cancelled():
            raise DownloadCancelledError("cancelled")
        if not file.missing:
            return  # an empty file, or one that only waits for its digest
        address = parse_address(self._url, allow_http=self._limits.allow_http)
        FetchRound(
            file,
            address=address,
            tls=self._tls() if address.is_tls else None,
            limits=self._limits,
            bucket=self._bucket,
            most=self._connections,
        ).run(cancelled=self._callbacks.cancelled, advanced=lambda: self._tell(file, final=False))

    def _is_right(self, file: PartialFile) -> bool:
        """Whether the whole file has the announced digest.

        When not, it is emptied for one more try.
        """
        if file.digest() == self._document.sha256:
            return True
        self._wrong_digests += 1
        is_other_object = bool(self._document.etag) and file.entry.etag != self._document.etag
        if is_other_object or self._wrong_digests > 1 or self._document.size == 0:
            why = "the object is not the announced one" if is_other_object else "twice"
            raise DownloadRefusedError(
                Reason.DIGEST,
                f"the SHA-256 of `{self._document.name}` is not the announced one ({why})",
            )
        event("download.wrong_digest", level=logging.WARNING, artifact=self._document.name)
        file.start_over(file.entry.etag)
        self._budget.start_over()
        return False

    def _renew(self, file: PartialFile, error: ExpiredUrlError) -> None:
        """Ask for a fresh URL and go on with it."""
        self._stale_urls = self._stale_urls + 1 if file.done == self._accepted_at else 1
        self._accepted_at = file.done
        if self._stale_urls > _MOST_FRESH_URLS:
            raise DownloadRefusedError(
                Reason.SERVER, f"{error}, also to {_MOST_FRESH_URLS} fresh URLs"
            ) from error
        file.checkpoint()
        event(
            "download.url_expired", artifact=self._document.name, received=file.done, why=str(error)
        )
        self._refresh(file)

    def _refresh(self, file: PartialFile) -> None:
        while True:
            try:
                self._url = self._callbacks.refresh_url()
            except DownloadError:
                raise
            except (CloudError, OSError) as error:  # the line is away
                self._pause(file, UnreachableError(f"no fresh URL: {type(error).__name__}"))
            except Exception as error:  # noqa: BLE001 - the budget bounds it
                self._pause(file, TryAgainError(f"no fresh URL: {type(error).__name__}"))
            else:
                return

    def _start_over_with_new_object(self, file: PartialFile, error: ChangedObjectError) -> None:
        """The announced object is gone.

        The same bytes may have been stored anew, which only their digest can tell.
        """
        self._changes += 1
        if self._changes > _MOST_CHANGES:
            raise DownloadRefusedError(
                Reason.CHANGED, f"`{self._document.name}` keeps changing: {error}"
            ) from error
        event("download.object_changed", level=logging.WARNING, artifact=self._document.name)
        file.start_over(None)
        self._budget.start_over()
        self._refresh(file)

    def _pause(self, file: PartialFile, error: TryAgainError) -> None:
        """Wait before the next try.

        Raises:
            DownloadFailedError: the budget is used up.
            DownloadCancelledError: while waiting.
        """
        file.checkpoint()
        unreachable = isinstance(error, UnreachableError)
        pause = self._budget.next_pause(file.done, error.retry_after, unreachable=unreachable)
        if pause is None:
            after = (
                f"{self._limits.unreachable_seconds:g} s in which nobody was reached"
                if unreachable
                else f"{self._limits.attempts} tries without progress"
            )
            raise DownloadFailedError(
                f"gave up on `{self._document.name}` after {after},"
                f" {file.done} of {self._document.size} bytes are kept; last: {error}"
            ) from error
        event(
            "download.retry", artifact=self._document.name, seconds=round(pause, 2), why=str(error)
        )
        self._wait(pause)

    def _wait(self, seconds: float) -> None:
        """Raises ``DownloadCancelledError`` while waiting."""
        until = self._pace.now() + seconds
        while (left := until - self._pace.now()) > 0:
            if self._callbacks.cancelled():
                raise DownloadCancelledError("cancelled")
            self._pace.wait(min(left, self._pace.step))

    def _install(self, *, can_roll_back: bool) -> None:
        """Run the hook; a file whose hook fails gives way to the one before."""
        if self._callbacks.on_verified is not None:
            try:
                self._callbacks.on_verified(self._target.path)
            except BaseException as error:
                # Ctrl-C is no word of the hook's: it is run again, as after a kill.
                if _is_interruption(error):
                    raise
                if can_roll_back:
                    with disk_trouble("bring the previous file back"):
                        self._target.roll_back()
                self._forget()
                raise DownloadRefusedError(
                    Reason.INSTALL,
                    f"the hook for `{self._document.name}` failed: {type(error).__name__}: {error}",
                ) from error
        self._forget()

    def _forget(self) -> None:
        with disk_trouble("clean up"):
            self._target.drop_part()
            # While the journal says that the hook is to run, it may fail: then this one comes back.
            self._journal.clear()
            self._target.drop_previous()

    def _tell(self, file: PartialFile, *, final: bool) -> None:
        now = time.monotonic()
        if self._callbacks.progress is not None and (
            final or now - self._told_at >= _PROGRESS_SECONDS
        ):
            self._told_at = now
            self._callbacks.progress(file.done, self._document.size)


def _is_interruption(error: BaseException) -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and isinstance(error, KeyboardInterrupt)
