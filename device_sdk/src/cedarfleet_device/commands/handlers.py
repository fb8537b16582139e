"""What a device maker writes: handlers, with the command they get and the result they give."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a handler did.

    Attributes:
        detail: JSON object that people will read beside SUCCEEDED; at most
            ``wire.MAX_DETAIL_BYTES`` encoded.
        afterwards: called once SUCCEEDED has reached the cloud, or 30 s later where it cannot, or
            as the agent stops; never before SUCCEEDED would survive the loss of power: the place
            for a reboot, which would otherwise cut off its own success, or be repeated.
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
        stopped: set when the time limit has passed or the agent stops; a long handler should look
            at it.
    """

    command_id: str
    name: str
    arguments: dict[str, Any]
    issued_at: int
    expires_at: int
    stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    report: Callable[[dict[str, Any]], None] = field(repr=False)

    def progress(self, **detail: Any) -> None:
        """Report how far the handler is; at most one a second is sent, others are dropped."""
        self.report(detail)


Function: TypeAlias = Callable[[Command], object]
"""Gives a ``Result``, a JSON object, None, or another JSON value, sent as ``{"result": value}``."""


@dataclass(frozen=True, kw_only=True)
class Handler:
    """A maker's function and how it is to be run.

    Attributes:
        function: takes the command; gives what ``Function`` says.
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
                f"`{name}` is no command name: a-z, 0-9 and `-`, first a letter,"
                " at most 64 characters"
            )
        if name in self._handlers:
            raise ConfigError(f"the command `{name}` has a handler already")
        self._handlers[name] = handler

    def get(self, name: str) -> Handler | None:
        """The handler of ``name``, if there is one."""
        return self._handlers.get(name)
