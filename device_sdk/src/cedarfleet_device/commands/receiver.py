"""Takes commands off the wire: checked, made durable, then acknowledged; refused with a reason."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire
from cedarfleet_device.log import event, places
from cedarfleet_device.wire import CancelMessage, CommandMessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from cedarfleet_device.commands.admission import Admission
    from cedarfleet_device.commands.handlers import Handlers
    from cedarfleet_device.metrics import Metrics

_SEND_AGAIN_SECONDS: Final = 5.0
# Messages in memory; mosquitto 2.0.11 sends a whole backlog past our receive maximum.
_MOST_UNSTORED: Final = 256
_ROOM_SECONDS: Final = 5.0


class RefusedError(Exception):
    """A message that is not to be run; ``str(error)`` is the reason.

    Args:
        command_id: under which it can be reported; None where the topic names none.
        reason: for people.
    """

    def __init__(self, command_id: str | None, reason: str) -> None:
        super().__init__(reason)
        self.command_id = command_id


def read_message(
    topic: str, payload: bytes, *, thing: str, handlers: Handlers
) -> CommandMessage | CancelMessage:
    """Check everything of a message but its time, which is checked when its turn comes.

    Raises:
        RefusedError: not for this thing, not of the form, or no handler.
    """
    try:
        addressed, command_id = wire.parse_command_topic(topic)
    except wire.WireError as error:
        raise RefusedError(None, str(error)) from error
    if addressed != thing or not wire.is_command_id(command_id):
        raise RefusedError(None, "the topic is not this thing's or carries no command id")
    try:
        message = wire.command_or_cancel(payload)
    except wire.WireError as error:
        raise RefusedError(command_id, str(error)) from error
    if message.command_id != command_id:
        raise RefusedError(command_id, "`command_id` is not the one of the topic")
    if message.thing != thing:
        raise RefusedError(command_id, "`thing` is another thing")
    if isinstance(message, CancelMessage):
        return message
    if message.expires_at < message.issued_at:
        raise RefusedError(command_id, "`expires_at` is before `issued_at`")
    if handlers.get(message.name) is None:
        raise RefusedError(command_id, f"this device has no handler for `{message.name}`")
    return message


class Receiver:
    """Takes the messages that the connection hands over.

    Args:
        thing: this device.
        handlers: decide which commands it knows.
        admission: keeps each once.
        metrics: counts them.
        withhold: takes out of a command what must not reach the disk.
        rejoin: asks the broker to send again what was not acknowledged, after so many seconds.
    """

    def __init__(
        self,
        *,
        thing: str,
        handlers: Handlers,
        admission: Admission,
        metrics: Metrics,
        withhold: Callable[[CommandMessage], CommandMessage],
        rejoin: Callable[[float], None],
    ) -> None:
        self._thing = thing
        self._handlers = handlers
        self._admission = admission
        self._metrics = metrics
        self._withhold = withhold
        self._rejoin = rejoin
        self._room = threading.Semaphore(_MOST_UNSTORED)

    def message(self, topic: str, payload: bytes, acknowledge: Callable[[], None]) -> None:
        """Store a command, or its refusal; once that is durable, call ``acknowledge``.

        Waits while too many are being stored: that holds up the connection, and so the broker,
        instead of memory. Not for ever, since the connection must live while a disk hangs.
        """
        try:
            message = self._read(topic, payload)
        except RefusedError as error:
            # There is nothing to report under, and kept unacknowledged it would come for ever.
            if error.command_id is None:
                self._metrics.count("unreportable")
                event("command.unreportable", level=logging.WARNING, error=error)
                acknowledge()
                return
            event(
                "command.rejected", level=logging.WARNING, error=error, command_id=error.command_id
            )
            key, counter = error.command_id, "rejected"
            roomy = self._room.acquire(timeout=_ROOM_SECONDS)
            # Fail closed: where logs would have gone is a credential, whatever else is wrong.
            kept = b"" if wire.UPLOAD_LOGS.encode() in payload else payload
            stored = self._admission.reject(key, kept, str(error))
        else:
            key, counter = message.command_id, "received"
            roomy = self._room.acquire(timeout=_ROOM_SECONDS)
            if isinstance(message, CancelMessage):
                counter = "canceled"
                stored = self._admission.cancel(message)
            else:
                stored = self._admission.receive(message)

        def settled(done: Future[bool]) -> None:
            try:
                self._stored(done, key, counter, acknowledge, roomy=roomy)
            except BaseException as error:  # noqa: BLE001 - the broker keeps what is not acknowledged
                event(
                    "command.not_acknowledged", level=logging.ERROR, error=error, at=places(error)
                )
                self._rejoin(_SEND_AGAIN_SECONDS)

        stored.add_done_callback(settled)

    def _read(self, topic: str, payload: bytes) -> CommandMessage | CancelMessage:
        message = read_message(topic, payload, thing=self._thing, handlers=self._handlers)
        if isinstance(message, CancelMessage):
            return message
        try:
            return self._withhold(message)
        except wire.WireError as error:
            raise RefusedError(message.command_id, str(error)) from error

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
            event("store.failed", level=logging.ERROR, error=error)
            # E.g. a full disk: the broker keeps the command until there is room again.
            self._rejoin(_SEND_AGAIN_SECONDS)
            return
        acknowledge()
        outcome = counter if done.result() else "duplicates"
        self._metrics.count(outcome)
        event("command.acknowledged", command_id=command_id, outcome=outcome)
