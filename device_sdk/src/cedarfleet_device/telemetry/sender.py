"""The way of telemetry to the cloud: in order, at least once, at its rate, behind commands.

Of the connection it takes a part: eight messages and 128 KB are under way at most, of AWS IoT
Core's 100 messages and 512 KB a second, so a command's state waits behind a quarter of a second of
telemetry at the worst. What the broker refuses stays and is tried again after a pause that grows:
a device whose policy does not know telemetry yet keeps its commands.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.log import event
from cedarfleet_device.store.transaction import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.telemetry.queue import Measured, TelemetryQueue
    from cedarfleet_device.telemetry.rate import TokenBucket

_MOST_UNDER_WAY: Final = 8
_BYTES_UNDER_WAY: Final = wire.MAX_MESSAGE_BYTES
_LAST_PUBACK_SECONDS: Final = 1.0
_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 900.0


class TelemetrySender:
    """Sends what waits.

    Args:
        queue: from its oldest message on.
        tenant: whose rule gets it.
        thing: whose telemetry.
        publish: QoS 1; the future is done at the PUBACK.
        online: whether it is worth trying.
        rate: at which it leaves.
        backoff: pauses after a refusal.
        sent: told of each message that the cloud has.
        failed: told of each failure of the thread that nobody foresaw.
    """

    def __init__(
        self,
        *,
        queue: TelemetryQueue,
        tenant: str,
        thing: str,
        publish: Callable[[str, bytes], Future[None]],
        online: Callable[[], bool],
        rate: TokenBucket,
        backoff: Backoff | None = None,
        sent: Callable[[], object] = tell_nobody,
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._queue = queue
        self._tenant, self._thing = tenant, thing
        self._publish, self._online = publish, online
        self._rate = rate
        self._backoff = backoff or Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        self._sent = sent
        self._changed = threading.Condition()
        self._fresh = queue.count() > 0  # the queue may hold more than was handed over
        self._after = 0  # position of the last that was handed over
        self._under_way: dict[int, int] = {}  # position: size
        self._acknowledged: list[int] = []
        self._refused = self._stopping = False
        self._thread = GuardedThread(self._loop, name="cedarfleet-telemetry", failed=failed)

    def start(self) -> None:
        """Begin with the oldest message."""
        self._thread.start()

    def wake(self) -> None:
        """Look into the queue: there is more, or the connection stands; from any thread."""
        with self._changed:
            self._fresh = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Stop sending, after a moment for what is under way; the rest stays in the queue."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            if self._online():
                self._changed.wait_for(lambda: not self._under_way, _LAST_PUBACK_SECONDS)
        self._thread.join(10)
        self._forget()

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._something_to_do)
                if self._stopping:
                    return
                settled = self._refused and not self._under_way
                # Whoever comes back online wakes this.
                self._fresh = self._fresh and self._online()
                room = self._fresh and not self._refused and self._room() > 0
            try:
                if self._forget() and not settled:
                    self._backoff.reset()
                if settled:
                    self._pause(self._backoff.next_pause())
                    # From the oldest on: those that were acknowledged are gone from the queue.
                    with self._changed:
                        self._refused, self._fresh, self._after = False, True, 0
                elif room:
                    self._send_next()
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error)
                self._pause(_PAUSE_MIN_SECONDS)
                self.wake()
            except BaseException:
                self.wake()  # for the next beginning: what was to be sent still is
                raise

    def _send_next(self) -> None:
        with self._changed:
            limit, self._fresh = self._room(), False
        batch = self._queue.oldest(after=self._after, limit=limit)
        for each in batch:
            if not self._wait_turn(each):
                break
            self._send(each)
        with self._changed:
            self._fresh = self._fresh or bool(batch)

    def _wait_turn(self, measured: Measured) -> bool:
        """Wait for room and rate; whether it may leave."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._halted() or self._room_for(measured), _PAUSE_MAX_SECONDS
            )
            while not self._halted() and not self._rate.take():
                self._changed.wait_for(self._halted, self._rate.wait_seconds())
            return not self._halted() and self._room_for(measured)

    def _halted(self) -> bool:
        return self._stopping or self._refused or not self._online()

    def _room(self) -> int:
        return _MOST_UNDER_WAY - len(self._under_way)

    def _room_for(self, measured: Measured) -> bool:
        held = sum(self._under_way.values())
        return self._room() > 0 and (not held or held + measured.size <= _BYTES_UNDER_WAY)

    def _something_to_do(self) -> bool:
        if self._stopping or self._acknowledged:
            return True
        if self._refused:
            return not self._under_way
        return self._fresh and self._room() > 0

    def _send(self, measured: Measured) -> None:
        with self._changed:
            self._after = measured.position
            self._under_way[measured.position] = measured.size
        try:
            topic = wire.telemetry_topic(self._tenant, self._thing, measured.topic)
            published = self._publish(topic, measured.message.encode())
        except BaseException as error:  # noqa: BLE001 - whatever it is, the message waits no less
            published = Future[None]()
            published.set_exception(error)
        published.add_done_callback(lambda done: self._settle(measured, done))

    def _settle(self, measured: Measured, done: Future[None]) -> None:
        try:
            error = done.exception()
        except BaseException as raised:  # noqa: BLE001 - as where nobody answered
            error = raised
        with self._changed:
            self._under_way.pop(measured.position, None)
            if error is None:
                self._acknowledged.append(measured.position)
            else:
                self._refused = True
            self._changed.notify_all()
        if error is None:
            self._sent()
        elif not self._stopping:
            event("telemetry.refused", level=logging.WARNING, error=error, topic=measured.topic)

    def _forget(self) -> int:
        with self._changed:
            done, self._acknowledged = self._acknowledged, []
        if done:
            # Unkept, they are sent once more after a restart: the same messages.
            self._queue.sent(done)
        return len(done)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)
