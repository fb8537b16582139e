"""What a device maker writes: handlers, with the command they get and the result they give; and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.wire import CommandMessage


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a handler did.

    Attributes:
        detail: JSON object that people will read beside SUCCEEDED; at most ``wire.MAX_DETAIL_BYTES`` encoded.
        afterwards: called once SUCCEEDED has reached the cloud, or 30 s later where it cannot, or as the agent stops;
            never before SUCCEEDED would survive the loss of power: the place for a reboot, which would otherwise cut
            off its own success, or be repeated.
    """

    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    afterwards: Callable[[], object] | None = None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command on its way through a handler.

    Attributes:
        command_id: ULID, the same if an idempotent handler is run again.
        name: which handler.
        arguments: JSON object from the sender; its form is for the handler to check.
        issued_at: milliseconds since the epoch.
        expires_at: milliseconds since the epoch; it had not passed when the handler was started.
        stopped: set when the time limit has passed or the agent stops; a long handler should look at it.
    """

    command_id: str
    name: str
    arguments: dict[str, Any]
    issued_at: int
    expires_at: int
    stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    report: Callable[[dict[str, Any]], None] = field(repr=False)

    def progress(self, **detail: Any) -> None:
        """Report how far the handler is; at most one report a second is sent, others are dropped."""
        self.report(detail)


Function: TypeAlias = Callable[[Command], "Result | dict[str, Any] | None"]


@dataclass(frozen=True, kw_only=True)
class Handler:
    """A maker's function and how it is to be run.

    Attributes:
        function: takes the command; gives a ``Result``, a JSON object or None.
        idempotent: whether it may be run again when the device stopped while it ran.
        time_limit_seconds: after it the command is FAILED and ``Command.stopped`` is set.
    """

    function: Function
    idempotent: bool
    time_limit_seconds: float


class Handlers:
    """The handlers of an agent by command name."""

    def __init__(self) -> None:
        self._handlers: Final[dict[str, Handler]] = {}

    def add(self, name: str, handler: Handler) -> None:
        """Register ``handler`` for the command ``name``.

        Raises:
            ConfigError: no command name, or one that has a handler.
        """
        if not wire.is_command_name(name):
            raise ConfigError(
                f"`{name}` is no command name: a-z, 0-9 and `-`, first a letter, at most 64 characters"
            )
        if name in self._handlers:
            raise ConfigError(f"the command `{name}` has a handler already")
        self._handlers[name] = handler

    def get(self, name: str) -> Handler | None:
        """The handler of ``name``, if there is one."""
        return self._handlers.get(name)


class RefusedError(Exception):
    """A message that is not to be run; ``str(error)`` is the reason.

    Args:
        command_id: under which it can be reported; None where the topic names none.
        reason: for people.
    """

    def __init__(self, command_id: str | None, reason: str) -> None:
        super().__init__(reason)
        self.command_id = command_id


def read_message(topic: str, payload: bytes, *, thing: str, handlers: Handlers) -> CommandMessage:
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
        message = CommandMessage.decode(payload)
    except wire.WireError as error:
        raise RefusedError(command_id, str(error)) from error
    if message.command_id != command_id:
        raise RefusedError(command_id, "`command_id` is not the one of the topic")
    if message.thing != thing:
        raise RefusedError(command_id, "`thing` is another thing")
    if message.expires_at < message.issued_at:
        raise RefusedError(command_id, "`expires_at` is before `issued_at`")
    if handlers.get(message.name) is None:
        raise RefusedError(command_id, f"this device has no handler for `{message.name}`")
    return message
