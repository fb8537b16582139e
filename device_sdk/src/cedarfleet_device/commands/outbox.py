"""The outbox, and the way of its states to the cloud: in order, at least once, once connected.

One connection delivers QoS 1 publishes in the order in which they were handed over, so up to 32 are
under way at once. When the broker refuses one, sending stops until the others are settled and
begins again with the oldest that is left; a state that arrives twice is the same state, since its
sequence number is part of it.

A state that comes to stand in the outbox when nothing older waits is sent at once; else it is read
back in its turn.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.log import event
from cedarfleet_device.store.transaction import Durability, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cedarfleet_device.store.store import Store
    from cedarfleet_device.store.transaction import Transaction
    from cedarfleet_device.wire import StatusMessage

_WINDOW: Final = 32
_FORGET_AFTER_SECONDS: Final = 0.2  # what was acknowledged meanwhile is forgotten in one commit
_LAST_PUBACK_SECONDS: Final = 1.0
_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One state that waits for the cloud's PUBACK: ``message`` is an encoded ``StatusMessage``."""

    position: int
    command_id: str
    message: bytes


class Outbox:
    """States that the cloud has not acknowledged.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listener: Callable[[Sequence[Outgoing]], None] | None = None
        # Counted here, since SQLite would begin again from one when the outbox was empty, and the
        # publisher goes by the positions.
        self._last = store.do(_last_position)

    def listen(self, listener: Callable[[Sequence[Outgoing]], None]) -> None:
        """Hand states that come to stand here to ``listener`` from now on, and to no other.

        In order, on the store's writing thread; it must be short.
        """
        self._listener = listener

    def put(
        self,
        transaction: Transaction,
        command_id: str,
        status: StatusMessage,
        durability: Durability,
    ) -> None:
        """Add a state inside a change; whoever listens is told once it is as durable as said."""
        self._last += 1
        message = status.encode()
        transaction.database.execute(
            "INSERT INTO outbox VALUES (?, ?, ?)", (self._last, command_id, message)
        )
        fresh = [Outgoing(position=self._last, command_id=command_id, message=message)]
        transaction.at(durability, lambda: self._tell(fresh))

    def outgoing(self, *, after: int, limit: int) -> list[Outgoing]:
        """The oldest states beyond position ``after``; durable, all of them."""

        def change(transaction: Transaction) -> list[Outgoing]:
            rows = transaction.database.execute(
                "SELECT position, command_id, message FROM outbox"
                " WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            )
            return [Outgoing(position=row[0], command_id=row[1], message=row[2]) for row in rows]

        return self._store.do(change)

    def sent(self, positions: Sequence[int]) -> Future[None]:
        """Forget states that the cloud has acknowledged."""

        def change(transaction: Transaction) -> None:
            transaction.database.executemany(
                "DELETE FROM outbox WHERE position = ?", [(each,) for each in positions]
            )

        return self._store.submit(change)

    def reported(self, command_id: str) -> bool:
        """Whether the cloud has acknowledged every state of the command, all durable by now."""
        query = "SELECT 1 FROM outbox WHERE command_id = ? LIMIT 1"
        return self._store.do(
            lambda transaction: (
                transaction.database.execute(query, (command_id,)).fetchone() is None
            )
        )

    def count(self) -> int:
        """How many states wait; waits for no sync, so that it can be told of a failing disk."""
        query = "SELECT count(*) FROM outbox"
        return self._store.ask(
            lambda transaction: (
                transaction.database.execute(query).fetchone()[0],
                Durability.WRITTEN,
            )
        )

    def _tell(self, fresh: Sequence[Outgoing]) -> None:
        if self._listener is not None:
            self._listener(fresh)


def _last_position(transaction: Transaction) -> int:
    query = "SELECT ifnull(max(position), 0) FROM outbox"
    return transaction.database.execute(query).fetchone()[0]


class Publisher:
    """Sends what stands in the outbox.

    Args:
        outbox: from its oldest state on.
        thing: whose states.
        publish: QoS 1; the future is done at the PUBACK.
        online: whether it is worth trying.
        backoff: pauses after a refusal.
        last_puback_seconds: how long the end waits for what is under way.
        failed: told of each failure of the thread that nobody foresaw.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        thing: str,
        publish: Callable[[str, bytes], Future[None]],
        online: Callable[[], bool],
        backoff: Backoff | None = None,
        last_puback_seconds: float = _LAST_PUBACK_SECONDS,
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._outbox = outbox
        self._backoff = backoff or Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        self._last_puback_seconds = last_puback_seconds
        self._thing = thing
        self._publish = publish
        self._online = online
        self._changed = threading.Condition()
        self._fresh = True  # the outbox may hold more than was handed over
        self._level = False  # it does not: what comes next may be sent at once
        self._after = 0  # position of the last that was handed over
        self._ending = self._stopping = False
        self._under_way: set[int] = set()
        self._acknowledged: list[int] = []
        self._refused = False
        self.published = 0
        self._thread = GuardedThread(self._loop, name="cedarfleet-outbox", failed=failed)

    def start(self) -> None:
        """Begin with the oldest state."""
        self._outbox.listen(self.offer)
        self._thread.start()

    def wake(self) -> None:
        """Look into the outbox: the connection stands again; from any thread."""
        with self._changed:
            self._fresh, self._level = True, False
            self._changed.notify_all()

    def offer(self, fresh: Sequence[Outgoing]) -> None:
        """These have come to stand in the outbox; from any thread."""
        with self._changed:
            wanted = range(self._after + 1, self._after + 1 + len(fresh))
            room = _WINDOW - len(self._under_way)
            # Out of turn they are read back from the outbox, so that none overtakes an older one.
            in_turn = (
                self._level
                and len(fresh) <= room
                and [each.position for each in fresh] == list(wanted)
            )
            if not in_turn or self._refused or self._stopping or not self._online():
                self.wake()
                return
            for each in fresh:
                self._send(each)

    def stop(self) -> None:
        """Stop sending, after a moment for what is under way; the rest stays in the outbox."""
        with self._changed:
            self._ending = True
            if self._online():
                self._changed.wait_for(lambda: not self._under_way, self._last_puback_seconds)
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(10)

    def _loop(self) -> None:
        while True:
            with self._changed:
                # What was acknowledged is forgotten a moment later, with what comes meanwhile.
                self._changed.wait_for(lambda: self._something_to_do() or self._acknowledged)
                self._changed.wait_for(self._something_to_do, _FORGET_AFTER_SECONDS)
                if self._stopping:
                    self._forget(self._taken())
                    return
                done = self._taken()
                settled = self._refused and not self._under_way
                room = 0 if self._refused or not self._fresh else _WINDOW - len(self._under_way)
                self._fresh = self._fresh and not room
            self._forget(done)
            if done and not settled:
                self._backoff.reset()
            try:
                if settled:
                    self._sleep(self._backoff.next_pause())
                    # From the oldest on: those that were acknowledged are gone from the outbox.
                    with self._changed:
                        self._refused, self._after = False, 0
                        self.wake()
                elif room and self._online():
                    batch = self._outbox.outgoing(after=self._after, limit=room)
                    for each in batch:
                        self._send(each)
                    with self._changed:
                        self._fresh = self._fresh or len(batch) == room
                        self._level = not self._fresh
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error)
                self._sleep(_PAUSE_MIN_SECONDS)
                self.wake()
            except BaseException:
                self.wake()  # for the next beginning: what was to be sent still is
                raise

    def _something_to_do(self) -> bool:
        if self._stopping:
            return True
        if self._refused:
            return not self._under_way
        return self._fresh and len(self._under_way) < _WINDOW

    def _taken(self) -> list[int]:
        done, self._acknowledged = self._acknowledged, []
        return done

    def _forget(self, done: list[int]) -> None:
        if done:
            self.published += len(done)
            self._outbox.sent(done).add_done_callback(
                lambda written: self._forgotten(done, written)
            )

    def _forgotten(self, done: list[int], written: Future[None]) -> None:
        # Tried again; after a restart they are sent once more, the same states.
        if written.exception() is not None:
            with self._changed:
                self.published -= len(done)
                self._acknowledged += done
                self._changed.notify_all()

    def _send(self, outgoing: Outgoing) -> None:
        with self._changed:
            self._after = outgoing.position
            self._under_way.add(outgoing.position)
        try:
            topic = wire.status_topic(self._thing, outgoing.command_id)
            published = self._publish(topic, outgoing.message)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the state waits no less
            published = Future[None]()
            published.set_exception(error)
        published.add_done_callback(lambda done: self._settle(outgoing, done))

    def _settle(self, outgoing: Outgoing, done: Future[None]) -> None:
        try:
            error = done.exception()
        except BaseException as raised:  # noqa: BLE001 - as where nobody answered
            error = raised
        if error is not None:
            event(
                "status.refused", level=logging.WARNING, error=error, command_id=outgoing.command_id
            )
        with self._changed:
            self._under_way.discard(outgoing.position)
            if error is None:
                self._acknowledged.append(outgoing.position)
            else:
                self._refused = True
            # Else nobody need know: the first one has started the wait for the others.
            if len(self._acknowledged) == 1 or self._ending or self._something_to_do():
                self._changed.notify_all()

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)
