"""One round of fetching: as many connections as pay off, until all is there or one fails."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.outcomes import DownloadCancelledError
from cedarfleet_device.downloads.range_client.answers import TryAgainError
from cedarfleet_device.downloads.range_fetcher import (
    Began,
    Connected,
    Ended,
    Event,
    FetchContext,
    RangeFetcher,
    Received,
)
from cedarfleet_device.downloads.ranges import connections_for, requests
from cedarfleet_device.downloads.throughput import StallDetector

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.downloads.partial_file import PartialFile
    from cedarfleet_device.downloads.range_client.connection import Address
    from cedarfleet_device.downloads.throughput import TokenBucket

_POLL_SECONDS: Final = 0.2
_JOIN_SECONDS: Final = 1.0


class FetchRound:
    """The fetchers of one round, and the thread that waits for them.

    That thread alone keeps account of the file and calls back.
    """

    def __init__(
        self,
        file: PartialFile,
        *,
        address: Address,
        tls: ssl.SSLContext | None,
        limits: DownloadLimits,
        bucket: TokenBucket,
        most: int,
    ) -> None:
        """Prepare to fetch what ``file`` misses from ``address`` over at most ``most`` connections.

        ``tls`` is for https.
        """
        self._file = file
        self._limits = limits
        self._most = most
        self._context = FetchContext(
            address=address,
            tls=tls,
            limits=limits,
            bucket=bucket,
            size=file.entry.size,
            etag=file.entry.etag,
            work=SimpleQueue(),
            events=SimpleQueue(),
            write=file.write,
        )
        self._fetchers: list[RangeFetcher] = []
        self._running = 0
        self._looked_at = time.monotonic()

    def run(self, *, cancelled: Callable[[], bool], advanced: Callable[[], None]) -> None:
        """Fetch until nothing is missing.

        Whatever was received when a trouble came is in the file before the trouble is raised.

        Raises:
            TryAgainError, ExpiredUrlError, ChangedObjectError: as ``answers`` has them.
            DownloadRefusedError: the server or the disk refuses.
            DownloadCancelledError: ``cancelled()``.
        """
        try:
            self._add_fetcher()
            while self._running:
                event = self._next_event(cancelled)
                if event is not None:
                    self._handle(event)
                    advanced()
        except DownloadCancelledError:
            self._stop()
            self._drain()
            raise
        finally:
            self._stop()
        # Fail closed: every fetcher ended well, yet bytes lack, which only a lying server brings
        # about.
        if self._file.missing:
            raise TryAgainError("the server sent less than it announced")

    def _next_event(self, cancelled: Callable[[], bool]) -> Event | None:
        if cancelled():
            raise DownloadCancelledError("cancelled")
        self._check_stalls()
        try:
            return self._context.events.get_nowait()
        except Empty:
            if self._file.catch_up():
                return None
        try:
            return self._context.events.get(timeout=_POLL_SECONDS)
        except Empty:
            # Fail closed: one that died without a word would be waited for without end.
            if not any(each.is_alive() for each in self._fetchers) and self._context.events.empty():
                raise TryAgainError("the connection's thread has died") from None
            return None

    def _handle(self, event: Event) -> None:
        match event:
            case Connected(round_trip) if len(self._fetchers) == 1:
                self._share_out(round_trip)
            case Connected():
                pass
            case Began(etag):
                self._file.pin(etag)
            case Received(fetcher, offset, data, buffer):
                self._file.accept(offset, data)
                fetcher.give_back(buffer)
            case Ended(error):
                self._running -= 1
                if error is not None:
                    self._stop()
                    self._drain()
                    raise error

    def _share_out(self, round_trip: float) -> None:
        """Cut what is missing into requests, now that it is known how far the server is."""
        left = sum(len(gap) for gap in self._file.missing)
        # Before the object is pinned, two connections could bring halves of two objects.
        count = min(self._most, self._worthwhile(left, round_trip)) if self._context.etag else 1
        if count == 1:
            self._fetchers[0].widen()
        for span in requests(self._file.missing, count):
            self._context.work.put(span)
        for _ in range(count):
            self._context.work.put(None)
        for _ in range(count - 1):
            self._add_fetcher()

    def _worthwhile(self, left: int, round_trip: float) -> int:
        limits = self._limits
        return connections_for(
            left,
            round_trip,
            most=limits.connections,
            from_bytes=limits.parallel_from_bytes,
            from_seconds=limits.parallel_from_seconds,
        )

    def _add_fetcher(self) -> None:
        stall = StallDetector(
            window_seconds=self._limits.stall_seconds, smallest=self._limits.stall_bytes
        )
        fetcher = RangeFetcher(self._context, stall)
        self._fetchers.append(fetcher)
        self._running += 1
        fetcher.start()

    def _check_stalls(self) -> None:
        now = time.monotonic()
        late, self._looked_at = now - self._looked_at > 1, now
        for fetcher in self._fetchers:
            if late:  # we were slow (a disk that syncs), not the server
                fetcher.stall.reset()
            elif fetcher.stall.is_stalled():
                fetcher.stall.reset()
                fetcher.stop(
                    f"less than {self._limits.stall_bytes} bytes in {self._limits.stall_seconds} s"
                )

    def _stop(self) -> None:
        for fetcher in self._fetchers:
            fetcher.stop()
        self._context.work.put(None)
        for fetcher in self._fetchers:
            fetcher.join(_JOIN_SECONDS)

    def _drain(self) -> None:
        """Keep what the others had received."""
        while not self._context.events.empty():
            event = self._context.events.get()
            if isinstance(event, Received):
                self._file.accept(event.offset, event.data)
