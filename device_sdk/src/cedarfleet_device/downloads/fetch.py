"""One round of fetching: as many connections as pay off, until the file is whole or something goes wrong."""

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
    Errand,
    Event,
    Received,
    Receiver,
)
from cedarfleet_device.downloads.ranges import connections_for, requests
from cedarfleet_device.downloads.throughput import Pulse

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from cedarfleet_device.downloads.limits import DownloadLimits
    from cedarfleet_device.downloads.partial_file import Sink
    from cedarfleet_device.downloads.range_client.url import Address
    from cedarfleet_device.downloads.throughput import TokenBucket

_POLL_SECONDS: Final = 0.2
_JOIN_SECONDS: Final = 1.0


class Crew:
    """The receivers of one round and the thread that waits for them, which alone touches disk and callbacks."""

    def __init__(
        self,
        sink: Sink,
        *,
        address: Address,
        tls: ssl.SSLContext | None,
        limits: DownloadLimits,
        bucket: TokenBucket,
        most: int,
    ) -> None:
        """Prepare to fetch what ``sink`` misses from ``address`` over at most ``most`` connections.

        ``tls`` is for https.
        """
        self._sink = sink
        self._limits = limits
        self._most = most
        self._errand = Errand(
            address=address,
            tls=tls,
            limits=limits,
            bucket=bucket,
            size=sink.entry.size,
            etag=sink.entry.etag,
            work=SimpleQueue(),
            events=SimpleQueue(),
            write=sink.write,
        )
        self._receivers: list[Receiver] = []
        self._running = 0
        self._looked_at = time.monotonic()

    def run(self, *, cancelled: Callable[[], bool], advanced: Callable[[], None]) -> None:
        """Fetch until nothing is missing.

        Whatever was received when a trouble came is in the sink before the trouble is raised.

        Raises:
            TryAgainError, ExpiredUrlError, ChangedObjectError: as ``answers`` has them.
            DownloadRefusedError: the server or the disk refuses.
            DownloadCancelledError: ``cancelled()``.
        """
        try:
            self._add_receiver()
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
        if (
            self._sink.missing
        ):  # every receiver ended well, yet bytes lack: cannot happen unless a server lies
            raise TryAgainError("the server sent less than it announced")  # fail closed

    def _next_event(self, cancelled: Callable[[], bool]) -> Event | None:
        if cancelled():
            raise DownloadCancelledError("cancelled")
        self._check_pulses()
        try:
            return self._errand.events.get_nowait()
        except Empty:
            if self._sink.catch_up():
                return None
        try:
            return self._errand.events.get(timeout=_POLL_SECONDS)
        except Empty:
            return None

    def _handle(self, event: Event) -> None:
        match event:
            case Connected(round_trip) if len(self._receivers) == 1:
                self._share_out(round_trip)
            case Connected():
                pass
            case Began(etag):
                self._sink.pin(etag)
            case Received(receiver, offset, data, buffer):
                self._sink.accept(offset, data)
                receiver.give_back(buffer)
            case Ended(error):
                self._running -= 1
                if error is not None:
                    self._stop()
                    self._drain()
                    raise error

    def _share_out(self, round_trip: float) -> None:
        """Cut what is missing into requests, now that the first connection showed how far the server is."""
        left = sum(len(gap) for gap in self._sink.missing)
        # Before the object is pinned, two connections could bring halves of two objects.
        count = (
            min(self._most, connections_for(left, round_trip, self._limits))
            if self._errand.etag
            else 1
        )
        if count == 1:
            self._receivers[0].widen()
        for span in requests(self._sink.missing, count):
            self._errand.work.put(span)
        for _ in range(count):
            self._errand.work.put(None)
        for _ in range(count - 1):
            self._add_receiver()

    def _add_receiver(self) -> None:
        pulse = Pulse(window_seconds=self._limits.stall_seconds, smallest=self._limits.stall_bytes)
        receiver = Receiver(self._errand, pulse)
        self._receivers.append(receiver)
        self._running += 1
        receiver.start()

    def _check_pulses(self) -> None:
        now = time.monotonic()
        late, self._looked_at = now - self._looked_at > 1, now
        for receiver in self._receivers:
            if late:  # we were slow (a disk that syncs), not the server
                receiver.pulse.reset()
            elif receiver.pulse.is_stalled():
                receiver.pulse.reset()
                receiver.stop(
                    f"less than {self._limits.stall_bytes} bytes in {self._limits.stall_seconds} s"
                )

    def _stop(self) -> None:
        for receiver in self._receivers:
            receiver.stop()
        self._errand.work.put(None)
        for receiver in self._receivers:
            receiver.join(_JOIN_SECONDS)

    def _drain(self) -> None:
        """Keep what the others had received."""
        while not self._errand.events.empty():
            event = self._errand.events.get()
            if isinstance(event, Received):
                self._sink.accept(event.offset, event.data)
