"""Takes commands off the wire: durable first, acknowledged after, refused with a reason."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from cedarfleet_device.commands.handlers import Handlers, RefusedError, read_message
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from cedarfleet_device.commands.admission import Arrivals
    from cedarfleet_device.diagnostics.health import Metrics

_SEND_AGAIN_SECONDS: Final = 5.0
_MOST_UNSTORED: Final = (
    256  # messages in memory; mosquitto 2.0.11 sends a whole backlog past our receive maximum
)
_ROOM_SECONDS: Final = 5.0


class Reception:
    """What the connection hands its messages to.

    Args:
        thing: this device.
        handlers: decide which commands it knows.
        arrivals: where they are kept.
        metrics: counts them.
        rejoin: asks the broker to send again what was not acknowledged, after so many seconds.
    """

    def __init__(
        self,
        *,
        thing: str,
        handlers: Handlers,
        arrivals: Arrivals,
        metrics: Metrics,
        rejoin: Callable[[float], None],
    ) -> None:
        self._thing = thing
        self._handlers = handlers
        self._arrivals = arrivals
        self._metrics = metrics
        self._rejoin = rejoin
        self._room = threading.Semaphore(_MOST_UNSTORED)

    def message(self, topic: str, payload: bytes, acknowledge: Callable[[], None]) -> None:
        """Store a command, or its refusal; ``acknowledge`` is called once it is durable, and not at all before.

        Waits while too many are being stored: that holds up the connection, and so the broker, instead of memory. Not
        for ever, since the connection must live while a disk hangs.
        """
        try:
            message = read_message(topic, payload, thing=self._thing, handlers=self._handlers)
        except RefusedError as error:
            if (
                error.command_id is None
            ):  # nothing to report under; kept unacknowledged it would come for ever
                self._metrics.count("unreportable")
                event("command.unreportable", level=logging.WARNING, error=error)
                acknowledge()
                return
            event(
                "command.rejected", level=logging.WARNING, error=error, command_id=error.command_id
            )
            key, counter = error.command_id, "rejected"
            roomy = self._room.acquire(timeout=_ROOM_SECONDS)
            stored = self._arrivals.reject(key, payload, str(error))
        else:
            key, counter = message.command_id, "received"
            roomy = self._room.acquire(timeout=_ROOM_SECONDS)
            stored = self._arrivals.receive(message)
        stored.add_done_callback(
            lambda done: self._stored(done, key, counter, acknowledge, roomy=roomy)
        )

    def _stored(
        self,
        done: Future[bool],
        command_id: str,
        counter: str,
        acknowledge: Callable[[], None],
        *,
        roomy: bool,
    ) -> None:
        if roomy:
            self._room.release()
        error = done.exception()
        if error is not None:  # fail closed: an unstored command is not acknowledged
            self._metrics.count("store_failures")
            event(
                "store.failed", level=logging.ERROR, error=error
            )  # a full disk, until there is room again
            self._rejoin(_SEND_AGAIN_SECONDS)
            return
        acknowledge()
        outcome = counter if done.result() else "duplicates"
        self._metrics.count(outcome)
        event("command.acknowledged", command_id=command_id, outcome=outcome)
