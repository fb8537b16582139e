"""A thread that fetches ranges over one connection and hands them on in reused buffers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.range_client.acceptance import accept
from cedarfleet_device.downloads.range_client.answers import TryAgainError
from cedarfleet_device.downloads.range_client.connection import RangeConnection
from cedarfleet_device.downloads.ranges import checkpoint_step

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.downloads.range_client.connection import Address
    from cedarfleet_device.downloads.ranges import ByteRange
    from cedarfleet_device.downloads.throughput import StallDetector, TokenBucket

BUFFER_BYTES: Final = 512 * 1024
_BUFFERS: Final = 3  # one is filled while others wait to be hashed
_MORE_BUFFERS: Final = 9  # for a connection that is alone
_HAND_ON_SECONDS: Final = 0.5  # a slow link's buffer is handed on before it is full


@dataclass(frozen=True, slots=True)
class Connected:
    """The TCP handshake took ``round_trip`` seconds."""

    round_trip: float


@dataclass(frozen=True, slots=True)
class Began:
    """The server began to send the object of ``etag``."""

    etag: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """``data`` was written at ``offset``; ``RangeFetcher.give_back(buffer)`` once it is used."""

    fetcher: RangeFetcher
    offset: int
    data: memoryview
    buffer: memoryview


@dataclass(frozen=True, slots=True)
class Ended:
    """The thread is done: nothing left to fetch, or ``error``."""

    error: BaseException | None


Event = Connected | Began | Received | Ended


@dataclass(frozen=True, kw_only=True)
class FetchContext:
    """What every fetcher of one round shares.

    Attributes:
        tls: for https.
        work: ranges to fetch; None means that no more will come.
        events: what happens goes here, in order.
        write: puts bytes at their offset of the temporary file; called by the fetchers, since the
            bytes are still in the cache of the core that received them.
    """

    address: Address
    tls: ssl.SSLContext | None
    limits: DownloadLimits
    bucket: TokenBucket
    size: int
    etag: str | None
    work: SimpleQueue[ByteRange | None]
    events: SimpleQueue[Event]
    write: Callable[[int, memoryview], None]


class RangeFetcher:
    """Connects, takes ranges from the context's work, and puts what comes into its events."""

    def __init__(self, context: FetchContext, stall: StallDetector) -> None:
        """Prepare; ``start`` begins."""
        self._context = context
        self.stall = stall
        self._free: SimpleQueue[memoryview | None] = SimpleQueue()
        # What is being filled is lost by a kill, so that it must not be more than a checkpoint's
        # step.
        self._piece = min(
            BUFFER_BYTES, checkpoint_step(context.size, most=context.limits.checkpoint_bytes)
        )
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(self._piece)))
        self._stop = threading.Event()
        self._why: str | None = None
        self._connection: RangeConnection | None = None
        self._has_connected = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cedarfleet-download", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def widen(self) -> None:
        """Give a connection that is alone more buffers, so that hash and network rarely wait."""
        for _ in range(_MORE_BUFFERS if self._piece == BUFFER_BYTES else 0):
            self._free.put(memoryview(bytearray(self._piece)))

    def give_back(self, buffer: memoryview) -> None:
        """Let the fetcher fill ``buffer`` again."""
        self._free.put(buffer)

    def stop(self, why: str = "stopped") -> None:
        """Ask the thread to end soon, wherever it waits, with ``why`` as its error."""
        self._why = self._why or why
        self._stop.set()
        self._free.put(None)
        if (connection := self._connection) is not None:
            connection.cut()

    def join(self, seconds: float) -> None:
        """Wait for the stopped thread; a connected one to its end, so that it writes no more.

        One that still resolves a name or connects is left behind after ``seconds``; it writes
        nothing any more.
        """
        self._thread.join(None if self._has_connected.is_set() else seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while (span := self._next_range()) is not None:
                self._fetch(span)
        except BaseException as caught:  # noqa: BLE001 - raised by the thread that waits
            error = caught if self._why is None else TryAgainError(self._why)
        finally:
            try:
                if self._connection is not None:
                    self._connection.close()
            finally:
                self._context.events.put(Ended(error))

    def _next_range(self) -> ByteRange | None:
        if not self._has_connected.is_set():
            self._connect()
        self.stall.excused = True
        span = self._context.work.get()
        self.stall.excused = False
        return None if self._stop.is_set() else span

    def _connect(self) -> RangeConnection:
        limits = self._context.limits
        self._connection = RangeConnection(
            self._context.address,
            self._context.tls,
            connect_seconds=limits.connect_seconds,
            read_seconds=limits.stall_seconds,
            proxy=limits.proxy_to(self._context.address.host),
        )
        if self._stop.is_set():  # `stop` may have looked before the connection was there
            raise TryAgainError("stopped")
        if not self._has_connected.is_set():
            self._has_connected.set()
            self._context.events.put(Connected(self._connection.round_trip))
        self._connection.secure()
        return self._connection

    def _fetch(self, span: ByteRange) -> None:
        connection = self._connection or self._connect()
        context = self._context
        answer = connection.ask(context.address.target, span, etag=context.etag)
        context.events.put(Began(accept(answer, wanted=span, size=context.size, etag=context.etag)))
        at = span.start
        while at < span.end:
            self.stall.excused = True
            buffer = self._free.get()
            self.stall.excused = False
            if buffer is None:
                raise TryAgainError("stopped")
            at += self._fill(connection, buffer, at, span.end)
        if answer.closes:
            connection.close()
            self._connection = None

    def _fill(self, connection: RangeConnection, buffer: memoryview, offset: int, end: int) -> int:
        """Receive into ``buffer`` and hand it on, also when the connection breaks meanwhile.

        The bytes received.
        """
        room = min(self._piece, end - offset)
        bucket, stall, read = self._context.bucket, self.stall, connection.read_into
        largest = bucket.largest_read or room
        filled = 0
        due = time.monotonic() + _HAND_ON_SECONDS
        try:
            while filled < room and (filled == 0 or time.monotonic() < due):
                count = read(buffer[filled : min(room, filled + largest)])
                filled += count
                stall.received += count
                if (pause := bucket.take(count)) > 0:
                    stall.excused = True
                    self._stop.wait(pause)
                    stall.excused = False
        finally:
            data = buffer[:filled]
            stall.excused = True
            self._context.write(offset, data)
            stall.excused = False
            self._context.events.put(Received(self, offset, data, buffer))
        return filled
