"""A command on its way to a device, and each state that the device reports of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import form
from cedarfleet_device.wire.form import WireError
from cedarfleet_device.wire.names import MAX_THING_NAME, is_command_id, is_command_name
from cedarfleet_device.wire.pythons import StrEnum

if TYPE_CHECKING:
    from typing import Self

# As the device writes it; the status rule drops what is far larger.
MAX_DETAIL_BYTES: Final = 8 * 1024
MAX_SEQUENCE: Final = 9999
SESSION_EXPIRY_SECONDS: Final = 3600
"""How long the broker keeps a command for an absent device, which its CONNECT asks for.

AWS IoT Core grants at most its quota "Persistent session expiry period", 3,600 s unless raised, and
then discards what waits (source: developer guide, "MQTT persistent sessions").
"""

_SEQUENCE = re.compile(r"[0-9]{4}")


class CommandState(StrEnum):
    """What a device reports of a command, in the order in which it may happen.

    Only a final state always does.
    """

    RECEIVED = "received"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"
    CANCELED = "canceled"
    """It waited when its cancel came, and is not run."""

    @property
    def is_final(self) -> bool:
        """Whether no further state follows."""
        return self not in (CommandState.RECEIVED, CommandState.RUNNING)


@dataclass(frozen=True, kw_only=True)
class CommandMessage:
    """One command for one thing.

    Attributes:
        command_id: ULID; the device's key for "run once".
        thing: addressed thing; a device refuses any other.
        name: which handler, e.g. ``reboot``.
        arguments: JSON object for the handler.
        issued_at: milliseconds since the epoch, service clock.
        expires_at: milliseconds since the epoch; the device refuses to start the command after it.
    """

    command_id: str
    thing: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    issued_at: int
    expires_at: int

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: larger than ``MAX_MESSAGE_BYTES``.
        """
        return form.encode(vars(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message; every member is required and no other is allowed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.decode(payload, frozenset(cls.__dataclass_fields__))
        form.require(
            isinstance(data["command_id"], str) and is_command_id(data["command_id"]),
            "command_id",
            "a ULID",
        )
        form.require(
            isinstance(data["thing"], str) and 0 < len(data["thing"]) <= MAX_THING_NAME,
            "thing",
            "a thing name",
        )
        form.require(
            isinstance(data["name"], str) and is_command_name(data["name"]),
            "name",
            "a command name",
        )
        form.require(isinstance(data["arguments"], dict), "arguments", "an object")
        for key in ("issued_at", "expires_at"):
            form.require(form.is_instant(data[key]), key, "milliseconds since the epoch")
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class CancelMessage:
    """Takes a command back that has not begun; it comes on the command's own topic.

    An agent of before refuses it as no command. Where it knows the command, that changes nothing;
    where the command comes later, it is known as refused and does not run: either way the device
    tells the truth.

    Attributes:
        command_id: of the command.
        thing: addressed thing; a device refuses any other.
        canceled_at: milliseconds since the epoch, service clock.
        expires_at: of the command, so that a device which never had it knows how long it may come.
    """

    command_id: str
    thing: str
    canceled_at: int
    expires_at: int

    def encode(self) -> bytes:
        """UTF-8 JSON."""
        return form.encode(vars(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message; every member is required and no other is allowed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.decode(payload, frozenset(cls.__dataclass_fields__))
        form.require(
            isinstance(data["command_id"], str) and is_command_id(data["command_id"]),
            "command_id",
            "a ULID",
        )
        form.require(
            isinstance(data["thing"], str) and 0 < len(data["thing"]) <= MAX_THING_NAME,
            "thing",
            "a thing name",
        )
        for key in ("canceled_at", "expires_at"):
            form.require(form.is_instant(data[key]), key, "milliseconds since the epoch")
        return cls(**data)


def command_or_cancel(payload: bytes) -> CommandMessage | CancelMessage:
    """What comes on a command's topic: the command, or its cancel.

    Raises:
        WrongVersionError: another wire version.
        WireError: it is neither; says what keeps it from being a command.
    """
    try:
        return CommandMessage.decode(payload)
    except WireError as error:
        try:
            return CancelMessage.decode(payload)
        except WireError:
            raise error from None


@dataclass(frozen=True, kw_only=True)
class StatusMessage:
    """One state that a device reports of one command; thing and command id stand in the topic.

    Attributes:
        sequence: 1 for the first state of the command, then counted up; travels as four digits,
            since the sort key needs them.
        state: the state.
        detail: JSON object: result, progress or reason; at most ``MAX_DETAIL_BYTES`` encoded.
        at: milliseconds since the epoch, device clock.
    """

    sequence: int
    state: CommandState
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    at: int

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: ``detail`` too large or ``sequence`` out of range.
        """
        form.require(1 <= self.sequence <= MAX_SEQUENCE, "sequence", f"1 to {MAX_SEQUENCE}")
        form.require(
            len(form.dump(self.detail)) <= MAX_DETAIL_BYTES,
            "detail",
            f"at most {MAX_DETAIL_BYTES} bytes",
        )
        return form.encode({**vars(self), "sequence": f"{self.sequence:04}"})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.decode(payload, frozenset(cls.__dataclass_fields__))
        form.require(
            isinstance(data["sequence"], str) and _SEQUENCE.fullmatch(data["sequence"]) is not None,
            "sequence",
            "four digits",
        )
        form.require(data["state"] in frozenset(CommandState), "state", "a command state")
        form.require(isinstance(data["detail"], dict), "detail", "an object")
        form.require(form.is_instant(data["at"]), "at", "milliseconds since the epoch")
        return cls(
            sequence=int(data["sequence"]),
            state=CommandState(data["state"]),
            detail=data["detail"],
            at=data["at"],
        )
