"""Bring one file to its target: fetch, verify, put in place, run the hook; each step resumable."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.fetch import Crew
from cedarfleet_device.downloads.outcomes import (
    DownloadCancelledError,
    DownloadError,
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.partial_file import Sink, disk_trouble
from cedarfleet_device.downloads.progress_journal import Entry, Stage
from cedarfleet_device.downloads.range_client.answers import (
    ChangedObjectError,
    ExpiredUrlError,
    NoRangesError,
    TryAgainError,
)
from cedarfleet_device.downloads.range_client.url import Address
from cedarfleet_device.downloads.ranges import checkpoint_step
from cedarfleet_device.downloads.retry import RetryBudget
from cedarfleet_device.downloads.throughput import TokenBucket
from cedarfleet_device.log import event

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.downloads.limits import DownloadLimits
    from cedarfleet_device.downloads.progress_journal import Journal
    from cedarfleet_device.downloads.target import Place
    from cedarfleet_device.wire import DownloadDocument

_MOST_CHANGES: Final = (
    2  # the object may change once while it is fetched; more is a fault of the sender
)
_MOST_FRESH_URLS: Final = 3  # in a row, none of which was accepted
_PROGRESS_SECONDS: Final = 0.25


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What the caller of a download is asked and told, all in its own thread."""

    refresh_url: Callable[[], str]
    progress: Callable[[int, int], None] | None
    cancelled: Callable[[], bool]
    on_verified: Callable[[Path], None] | None


class Delivery:
    """One run of one download."""

    def __init__(
        self,
        document: DownloadDocument,
        *,
        place: Place,
        journal: Journal,
        limits: DownloadLimits,
        tls: Callable[[], ssl.SSLContext],
        callbacks: Callbacks,
    ) -> None:
        """Prepare; ``run`` does everything. ``tls`` is called when the URL is https."""
        self._document, self._place, self._journal = document, place, journal
        self._limits, self._tls, self._callbacks = limits, tls, callbacks
        self._bucket = TokenBucket(limits.bytes_per_second)
        self._budget = RetryBudget(limits=limits, step=checkpoint_step(document.size, limits))
        self._connections = limits.connections
        self._url = document.url
        self._changes = self._wrong_digests = self._stale_urls = 0
        self._accepted_at = -1
        self._told_at = 0.0

    def run(self) -> int:
        """Deliver; the body bytes that were fetched for it by this call.

        Raises:
            DownloadError: as ``Downloader.fetch`` says.
        """
        entry = self._journal.read()
        if entry is None or not entry.is_of(self._document):
            entry = Entry.fresh(self._document)
            self._place.drop_part()
        with disk_trouble("read the target"):
            is_there = not self._place.has_part() and self._place.holds(
                self._document.size, self._document.sha256
            )
        if is_there:
            self._install(can_roll_back=entry.stage is Stage.PLACING)
            return 0
        try:
            sink = Sink(
                self._place, self._journal, replace(entry, stage=Stage.FETCHING), self._limits
            )
            try:
                self._fetch(sink)
                received, entry = sink.received, sink.entry
            finally:
                sink.close()
            with disk_trouble("put the file in place"):
                self._journal.write(replace(entry, stage=Stage.PLACING))
                self._place.put(keep_previous=self._callbacks.on_verified is not None)
        except DownloadRefusedError:
            self._forget()  # the device gets its disk back
            raise
        self._install(can_roll_back=True)
        return received

    def _fetch(self, sink: Sink) -> None:
        """Until the temporary file holds the announced bytes."""
        sink.recover(self._callbacks.cancelled)
        sink.check_room()
        while True:
            self._tell(sink, final=False)
            if not sink.missing and self._is_right(sink):
                self._tell(sink, final=True)
                return
            try:
                self._round(sink)
                self._stale_urls = 0
            except ExpiredUrlError as error:
                self._renew(sink, error)
            except ChangedObjectError as error:
                self._start_over_with_new_object(sink, error)
            except TryAgainError as error:
                if isinstance(error, NoRangesError):
                    self._connections = 1
                self._pause(sink, error)
            except DownloadCancelledError:
                sink.checkpoint()
                raise

    def _round(self, sink: Sink) -> None:
        if self._callbacks.cancelled():
            raise DownloadCancelledError("cancelled")
        if not sink.missing:
            return  # an empty file, or one that only waits for its digest
        address = Address.parse(self._url, allow_http=self._limits.allow_http)
        Crew(
            sink,
            address=address,
            tls=self._tls() if address.is_tls else None,
            limits=self._limits,
            bucket=self._bucket,
            most=self._connections,
        ).run(cancelled=self._callbacks.cancelled, advanced=lambda: self._tell(sink, final=False))

    def _is_right(self, sink: Sink) -> bool:
        """Whether the whole file has the announced digest; when not, it is emptied for one more try."""
        if sink.digest() == self._document.sha256:
            return True
        self._wrong_digests += 1
        is_other_object = bool(self._document.etag) and sink.entry.etag != self._document.etag
        if is_other_object or self._wrong_digests > 1 or self._document.size == 0:
            why = "the object is not the announced one" if is_other_object else "twice"
            raise DownloadRefusedError(
                Reason.DIGEST,
                f"the SHA-256 of `{self._document.name}` is not the announced one ({why})",
            )
        event("download.wrong_digest", level=logging.WARNING, artifact=self._document.name)
        sink.start_over(sink.entry.etag)
        self._budget.start_over()
        return False

    def _renew(self, sink: Sink, error: ExpiredUrlError) -> None:
        """Ask for a fresh URL and go on with it."""
        self._stale_urls = self._stale_urls + 1 if sink.done == self._accepted_at else 1
        self._accepted_at = sink.done
        if self._stale_urls > _MOST_FRESH_URLS:
            raise DownloadRefusedError(
                Reason.SERVER, f"{error}, also to {_MOST_FRESH_URLS} fresh URLs"
            ) from error
        sink.checkpoint()
        event(
            "download.url_expired", artifact=self._document.name, received=sink.done, why=str(error)
        )
        self._refresh(sink)

    def _refresh(self, sink: Sink) -> None:
        while True:
            try:
                self._url = self._callbacks.refresh_url()
            except DownloadError:
                raise
            except Exception as error:  # noqa: BLE001 - the agent may be offline in any of its ways; the budget bounds it
                self._pause(sink, TryAgainError(f"no fresh URL: {type(error).__name__}"))
            else:
                return

    def _start_over_with_new_object(self, sink: Sink, error: ChangedObjectError) -> None:
        """The announced object is gone; the same bytes may have been stored anew, which only their digest can tell."""
        self._changes += 1
        if self._changes > _MOST_CHANGES:
            raise DownloadRefusedError(
                Reason.CHANGED, f"`{self._document.name}` keeps changing: {error}"
            ) from error
        event("download.object_changed", level=logging.WARNING, artifact=self._document.name)
        sink.start_over(None)
        self._budget.start_over()
        self._refresh(sink)

    def _pause(self, sink: Sink, error: TryAgainError) -> None:
        """Wait before the next try.

        Raises:
            DownloadFailedError: the budget is used up.
            DownloadCancelledError: while waiting.
        """
        sink.checkpoint()
        pause = self._budget.next_pause(sink.done, error.retry_after)
        if pause is None:
            raise DownloadFailedError(
                f"gave up on `{self._document.name}` after {self._limits.attempts} tries without progress,"
                f" {sink.done} of {self._document.size} bytes are kept; last: {error}"
            ) from error
        event(
            "download.retry", artifact=self._document.name, seconds=round(pause, 2), why=str(error)
        )
        until = time.monotonic() + pause
        waiting = threading.Event()
        while (left := until - time.monotonic()) > 0:
            if self._callbacks.cancelled():
                raise DownloadCancelledError("cancelled")
            waiting.wait(min(left, 0.2))

    def _install(self, *, can_roll_back: bool) -> None:
        """Run the hook; a file whose hook fails gives way to the one before."""
        if self._callbacks.on_verified is not None:
            try:
                self._callbacks.on_verified(self._place.path)
            except (Exception, SystemExit) as error:
                if can_roll_back:
                    with disk_trouble("bring the previous file back"):
                        self._place.roll_back()
                self._forget()
                raise DownloadRefusedError(
                    Reason.INSTALL,
                    f"the hook for `{self._document.name}` failed: {type(error).__name__}: {error}",
                ) from error
        self._forget()

    def _forget(self) -> None:
        with disk_trouble("clean up"):
            self._place.drop_part()
            self._place.drop_previous()
            self._journal.clear()

    def _tell(self, sink: Sink, *, final: bool) -> None:
        now = time.monotonic()
        if self._callbacks.progress is not None and (
            final or now - self._told_at >= _PROGRESS_SECONDS
        ):
            self._told_at = now
            self._callbacks.progress(sink.done, self._document.size)
