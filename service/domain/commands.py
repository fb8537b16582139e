"""A command: its record, what its device reported, and the one state that both amount to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MAX_STATES: Final = 200
"""States of one command that are read: a device reports a handful, a broken one thousands."""


class CommandRecordState(StrEnum):
    """How far the service itself came.

    Whoever hands a command over has claimed it: it is ``publishing`` until it is known what became
    of that. Nothing follows ``received`` and ``failed``, and ``published`` becomes ``received`` at
    most.
    """

    CREATED = "created"
    """Nothing has left for the device; whoever asks again under the same key sends it."""
    PUBLISHING = "publishing"
    """It is being handed over, or whoever did so was cut off: it may have left."""
    UNCONFIRMED = "unconfirmed"
    """The answer was lost: it may have left."""
    PUBLISHED = "published"
    RECEIVED = "received"
    FAILED = "failed"
    """Certainly nothing has left, and nothing will."""
    UNKNOWN = "unknown"
    """What a later release wrote; never written by this one, and never sent again."""

    @classmethod
    def of_row(cls, text: str) -> CommandRecordState:
        """The state that a row has, whichever release wrote it: two run side by side for a while.

        Args:
            text: as it stands there.
        """
        return cls(text) if text in set(cls) else cls.UNKNOWN


UNCLAIMED: Final = frozenset({CommandRecordState.CREATED, CommandRecordState.UNCONFIRMED})
LEFT: Final = frozenset({CommandRecordState.PUBLISHED, CommandRecordState.RECEIVED})
FOR_GOOD: Final = frozenset(
    # Fail closed: what a later release says of a command may be its end.
    {CommandRecordState.RECEIVED, CommandRecordState.FAILED, CommandRecordState.UNKNOWN}
)
CLAIM_MS: Final = 60_000
"""After so long whoever claimed a command has been cut off: each of its calls ends before."""


class IfOffline(StrEnum):
    """What becomes of a command whose device is not connected."""

    QUEUE = "queue"
    REFUSE = "refuse"


class DirectAnswer(StrEnum):
    """What became of a command that was sent to the connected device and nobody else."""

    RECEIVED = "received"
    """The device has it durably, or its refusal of it."""
    NOT_CONNECTED = "not-connected"
    NOT_CONFIRMED = "not-confirmed"
    """The device did not say in time that it has it; it may say so yet."""


@dataclass(frozen=True, kw_only=True)
class CommandRecord:
    """What the service wrote down before it published the command.

    Attributes:
        created_by: the principal's entity id.
        created_at: milliseconds since the epoch.
        expires_at: milliseconds since the epoch; the device starts no command after it.
        failure: why it was not published, in words for the caller.
        if_offline: whether it may wait for its device.
        claimed_at: when it was last begun to hand it over, in milliseconds since the epoch; what is
            settled is settled of that claim.
        reason: why, where the command needs one or its sender gave one.
        campaign: id of the campaign that it is part of.
        canceled_at: when its cancel was asked for, in milliseconds since the epoch: nobody hands it
            over any more; ``None``: it was not.
    """

    command_id: str
    tenant: str
    device: str
    name: str
    arguments: Mapping[str, Any]
    created_by: str
    created_at: int
    expires_at: int
    state: CommandRecordState = CommandRecordState.CREATED
    failure: str | None = None
    emergency_reason: str | None = None
    reason: str | None = None
    campaign: str | None = None
    if_offline: IfOffline = IfOffline.QUEUE
    claimed_at: int = 0
    canceled_at: int | None = None

    def may_be_claimed(self, now_ms: int) -> bool:
        """Whether nobody hands it over, and it has not surely left, failed or been canceled."""
        if self.canceled_at is not None:
            return False
        if self.state is CommandRecordState.PUBLISHING:
            return self.claimed_at < now_ms - CLAIM_MS
        return self.state in UNCLAIMED

    def may_become(self, settled: CommandRecord) -> bool:
        """Whether what somebody found out of this command still counts."""
        if settled.state in LEFT:
            return self.state not in FOR_GOOD
        is_own = self.claimed_at == settled.claimed_at
        return is_own and self.state is CommandRecordState.PUBLISHING

    @property
    def thing(self) -> str:
        """The addressed thing."""
        return wire.thing_name(self.tenant, self.device)

    def message(self) -> wire.CommandMessage:
        """What travels to the device."""
        return wire.CommandMessage(
            command_id=self.command_id,
            thing=self.thing,
            name=self.name,
            arguments=dict(self.arguments),
            issued_at=self.created_at,
            expires_at=self.expires_at,
        )

    @property
    def is_held_back(self) -> bool:
        """Whether it was canceled before it left: then it never does."""
        # Later, and its expiry was told to be final.
        in_time = self.canceled_at is not None and self.canceled_at <= self.expires_at
        return in_time and self.state is CommandRecordState.CREATED

    def cancel_message(self) -> wire.CancelMessage:
        """What takes it back on its device; of a command that was canceled."""
        return wire.CancelMessage(
            command_id=self.command_id,
            thing=self.thing,
            canceled_at=self.canceled_at or 0,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, kw_only=True)
class ReportedState:
    """One state that the device reported; times are milliseconds since the epoch.

    Attributes:
        device_time: by the device's own clock.
        detail_left_out: the device said more, but not within the wire's bounds.
    """

    sequence: int
    state: wire.CommandState
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])
    device_time: int | None = None
    received_at: int | None = None
    detail_left_out: bool = False


@dataclass(frozen=True, kw_only=True)
class RecordedCommand:
    """A command's record beside what its device reported.

    Attributes:
        states: the last ones, at most ``MAX_STATES``, in any order.
        earlier_left_out: the device reported more.
    """

    record: CommandRecord
    states: tuple[ReportedState, ...] = ()
    earlier_left_out: bool = False

    @property
    def truncated(self) -> bool:
        """Whether the states are not all that the device said."""
        return self.earlier_left_out or any(state.detail_left_out for state in self.states)


@dataclass(frozen=True, kw_only=True)
class CommandFilter:
    """Which commands a list shows; ``None`` asks nothing.

    Attributes:
        created_by: the principal's entity id.
        since: milliseconds since the epoch: made then or later.
        before: milliseconds since the epoch: made earlier.
    """

    device: str | None = None
    name: str | None = None
    created_by: str | None = None
    since: int | None = None
    before: int | None = None

    def shows(self, device: str, name: str, created_by: str) -> bool:
        """Whether a command is shown, its time apart."""
        return (
            self.device in (None, device)
            and self.name in (None, name)
            and self.created_by in (None, created_by)
        )


@dataclass(frozen=True, kw_only=True)
class CommandPage:
    """Commands, the newest first; ``cursor`` asks for the next page, if there may be one."""

    commands: tuple[RecordedCommand, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class CommandStatus:
    """Where a command stands.

    Attributes:
        state: a ``wire.CommandState`` or a ``CommandRecordState``.
        reported_by: ``device`` or ``service``: who knows it.
        detail: result, progress or reason.
        is_final: whether no other state is expected.
    """

    state: str
    reported_by: str
    detail: Mapping[str, Any]
    is_final: bool


_NOT_CONFIRMED: Final = (
    "it was not confirmed that the command left for the device,"
    " and the device did not answer in time"
)
_SILENCE: Final = {
    CommandRecordState.CREATED: "the command was not sent before its expiry",
    CommandRecordState.PUBLISHING: _NOT_CONFIRMED,
    CommandRecordState.UNCONFIRMED: _NOT_CONFIRMED,
    CommandRecordState.PUBLISHED: "the device did not answer in time",
    CommandRecordState.RECEIVED: "the device received the command,"
    " and did not say in time what became of it",
}


_UNSETTLED: Final = frozenset({CommandRecordState.CREATED, CommandRecordState.PUBLISHING})
_NEVER_LEFT: Final = "its device was retired before it left"
_NOBODY_KNOWS: Final = "its device was retired, and did not say before what became of it"
_LAST_WORDS_MS: Final = 15 * 60_000
"""A certificate that is made inactive ends connections "within a few minutes" (AWS IoT API
reference, "UpdateCertificate"): after so long a retired device says nothing more."""


def status_of(
    record: CommandRecord,
    states: Sequence[ReportedState],
    *,
    now_ms: int,
    retired_at: int | None,
) -> CommandStatus:
    """The one state that is true as far as anyone knows, also of a device that was retired.

    What waits for a retired device has ended: ``canceled`` if it had not left, else
    ``interrupted``, since nobody can tell any more whether it ran. What its device says in its last
    minutes counts.

    Args:
        record: the service's record.
        states: the device's states, in any order.
        now_ms: milliseconds since the epoch.
        retired_at: when its device was retired, in milliseconds since the epoch; ``None``: it was
            not.
    """
    known = _known_status(record, states, now_ms=now_ms)
    # That its time ran out says less, and what a later release wrote is not ours to end.
    has_ended = known.is_final and (known.reported_by, known.state) != ("service", "expired")
    has_ended = has_ended or known.state == wire.CommandState.CANCELED
    if retired_at is None or has_ended or record.state is CommandRecordState.UNKNOWN:
        return known
    is_over = now_ms > retired_at + _LAST_WORDS_MS
    if not states and record.expires_at < retired_at:
        return replace(known, is_final=is_over)
    has_left = bool(states) or record.state is not CommandRecordState.CREATED
    return CommandStatus(
        state=wire.CommandState.INTERRUPTED if has_left else wire.CommandState.CANCELED,
        reported_by="service",
        detail={"reason": _NOBODY_KNOWS if has_left else _NEVER_LEFT},
        is_final=is_over,
    )


def _known_status(
    record: CommandRecord, states: Sequence[ReportedState], *, now_ms: int
) -> CommandStatus:
    """The state as record and device say it.

    What the device reported wins, since it alone knows; its first final state stands. But of a
    command that surely never left it can only tell that its cancel came: that it failed stands, or
    was canceled here, and as long as it may still turn out to have failed, a cancel that came is
    not final. The device is the authority of its own states: if it reports a sequence again, the
    rule keeps what it said last, and nobody here can tell. A device that acknowledged the command
    has received it. Without a word of the device, a command past its expiry is expired: no device
    starts it any more. That is final only of one that has not left: of any other the device may yet
    tell, however late, that it had started it in time.
    """
    ordered = sorted(states, key=lambda reported: reported.sequence)
    only_canceled = all(reported.state is wire.CommandState.CANCELED for reported in ordered)
    # Its cancel may have been told while it was still to leave.
    never_left = record.state is CommandRecordState.FAILED or record.is_held_back
    if ordered and not (only_canceled and never_left):
        told = next((reported for reported in ordered if reported.state.is_final), ordered[-1])
        may_fail = record.state in _UNSETTLED and now_ms <= record.expires_at + CLAIM_MS
        return CommandStatus(
            state=told.state,
            reported_by="device",
            detail=told.detail,
            is_final=told.state.is_final and not (only_canceled and may_fail),
        )
    if record.state is CommandRecordState.FAILED:
        return CommandStatus(
            state=CommandRecordState.FAILED,
            reported_by="service",
            detail={"reason": record.failure},
            is_final=True,
        )
    if record.state is CommandRecordState.UNKNOWN:
        return CommandStatus(
            state=record.state,
            reported_by="service",
            detail={"reason": "a later release of the service recorded how far it came"},
            is_final=False,
        )
    if record.is_held_back:
        return CommandStatus(
            state=wire.CommandState.CANCELED,
            reported_by="service",
            detail={"reason": "it was canceled before it left"},
            is_final=True,
        )
    if now_ms > record.expires_at:
        # Another process whose clock is behind may still be about to claim it.
        is_over = now_ms > record.expires_at + CLAIM_MS
        return CommandStatus(
            state=wire.CommandState.EXPIRED,
            reported_by="service",
            detail={"reason": _SILENCE[record.state]},
            is_final=is_over and record.state is CommandRecordState.CREATED,
        )
    by = "device" if record.state is CommandRecordState.RECEIVED else "service"
    return CommandStatus(state=record.state, reported_by=by, detail={}, is_final=False)
