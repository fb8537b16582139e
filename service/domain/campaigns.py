"""A campaign: one command for many devices, the batches it goes out in, and how far each came."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from service.domain.commands import CommandRecord, CommandRecordState, IfOffline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.domain.selections import Selection

MAX_DEVICES: Final = 10_000
"""Of one campaign, as of one download."""
BATCH_DEVICES: Final = 25
"""That are decided and sent to between two looks at whether the campaign is still wanted; the
store answers 30 questions at once (source: Verified Permissions quotas, BatchIsAuthorized)."""
USUAL_WINDOW_SECONDS: Final = 3600
MAX_WINDOW_SECONDS: Final = 24 * 3600
DECIDED_MS: Final = 60_000
"""For which a decision holds: what has not left by then is decided again."""
SILENT_MS: Final = 3_600_000
"""How long a device may be silent behind its command's expiry, until nobody looks any more; as the
audit waits for outcomes (``operations.audit_outcomes``)."""


class CampaignClosing(StrEnum):
    """Why nothing more of a campaign is sent."""

    ENDED = "ended"
    """Nobody waits for any device of it any more."""
    CANCELED = "canceled"
    """Somebody asked for it; what had not begun on its device is taken back."""
    STOPPED = "stopped"
    """Who asked for it, or what it asks for, is no more."""
    EXPIRED = "expired"
    """The time in which it was to be sent was over."""


class CampaignState(StrEnum):
    """Where a campaign stands as a whole."""

    CREATED = "created"
    SENDING = "sending"
    SENT = "sent"
    """Each device has been sent to or left out, and some may still do it."""
    CANCELING = "canceling"
    """Nothing more is sent, and what had not begun is being taken back."""
    CANCELED = "canceled"
    STOPPED = "stopped"
    ENDED = "ended"


class Part(StrEnum):
    """What became of a device before any command of it stood; after that its command says it."""

    WAITING = "waiting"
    ALLOWED = "allowed"
    """The policies let it, and its command is about to be recorded."""
    DENIED = "denied"
    SKIPPED = "skipped"
    """It is gone, retired, has not come in yet, or nobody can decide on it."""
    CANCELED = "canceled"
    """The campaign was closed before its turn came."""


@dataclass(frozen=True, kw_only=True)
class BatchDevice:
    """One device of a batch.

    Attributes:
        command_id: of its command, which has this id from before it is first sent; empty: not yet.
        policies: those that decided.
        reason: why it is denied or skipped, in words.
        state: of its command, when the worker last looked; empty: none stood then.
        is_final: whether that is its end, or nobody waits for another.
    """

    id: str
    command_id: str = ""
    part: Part = Part.WAITING
    policies: tuple[str, ...] = ()
    reason: str | None = None
    state: str = ""
    is_final: bool = False

    @property
    def is_left_out(self) -> bool:
        """Whether nothing is sent to it."""
        return self.part in {Part.DENIED, Part.SKIPPED, Part.CANCELED}

    @property
    def word(self) -> str:
        """Its state in counts."""
        return str(self.part) if self.is_left_out or not self.state else self.state


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Devices that are decided and sent to together; times are milliseconds since the epoch.

    Attributes:
        number: from 0.
        prepared_at: when the ids of its commands were written down.
        decided_at: when the policies were last asked.
        sent_at: when nothing was left to send.
    """

    number: int
    devices: tuple[BatchDevice, ...]
    prepared_at: int | None = None
    decided_at: int | None = None
    sent_at: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether each device of it has ended."""
        return self.sent_at is not None and all(
            one.is_left_out or one.is_final for one in self.devices
        )

    @property
    def counts(self) -> dict[str, int]:
        """Its devices by state."""
        return dict(Counter(one.word for one in self.devices))

    @property
    def tally(self) -> BatchTally:
        """The batch at a glance."""
        return BatchTally(number=self.number, counts=self.counts, is_over=self.is_over)

    def with_devices(self, devices: Iterable[BatchDevice]) -> Batch:
        """The batch with these in the place of those of the same ids."""
        by_id = {one.id: one for one in devices}
        return replace(self, devices=tuple(by_id.get(one.id, one) for one in self.devices))


@dataclass(frozen=True, kw_only=True)
class BatchTally:
    """A batch that was begun, at a glance.

    Attributes:
        counts: its devices by state, when the worker last wrote it.
        is_over: whether nobody waits for any of them.
    """

    number: int
    counts: Mapping[str, int]
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class CampaignRecord:
    """What the service wrote down, and how far the worker came; times are milliseconds.

    Attributes:
        created_by: the principal's entity id.
        requester: who that is, by the name in the user pool; a machine's client id.
        machine: the machine's id, of one that the API made; ``None``: a person began it.
        scopes: of the token with which the machine began it: it is never decided by others.
        source_ip: where it was asked from; policies see it at each batch.
        via: by what, likewise: what an agent began is decided as an agent's.
        seconds: for which each device may start its command, from its being sent.
        send_before: when nothing more of it is sent.
        devices: how many it is for.
        begun_at: when the worker first looked.
        begun: batches that were begun.
        batch_at: when the last of them was last begun.
        sent: batches of which nothing is left to send.
        taken: of a canceled one: batches of which what had not begun was taken back.
        looked: batches of which the worker asked what became of their commands, in this round.
        looks: whole rounds of that.
        step: of the message that is awaited; an earlier one is done with.
        closing: why nothing more is sent.
        why: in words, where somebody has to know.
        looked_at: when the worker last looked.
        told: words of the events that told of it (``operations.rollout_events``).
    """

    campaign_id: str
    tenant: str
    name: str
    arguments: Mapping[str, Any]
    target: Selection
    seconds: int
    send_before: int
    created_by: str
    requester: str
    created_at: int
    devices: int
    source_ip: str | None = None
    via: str | None = None
    machine: str | None = None
    scopes: tuple[str, ...] = ()
    if_offline: IfOffline = IfOffline.QUEUE
    reason: str | None = None
    emergency_reason: str | None = None
    begun_at: int | None = None
    begun: int = 0
    batch_at: int = 0
    sent: int = 0
    taken: int = 0
    looked: int = 0
    looks: int = 0
    step: int = 0
    closing: CampaignClosing | None = None
    why: str | None = None
    canceled_by: str | None = None
    looked_at: int | None = None
    told: frozenset[str] = frozenset()

    @property
    def batches(self) -> int:
        """How many there are."""
        return -(-self.devices // BATCH_DEVICES)

    def command(self, device: BatchDevice, *, now_ms: int) -> CommandRecord:
        """The command of one of its devices, claimed by whoever records it now."""
        return CommandRecord(
            command_id=device.command_id,
            tenant=self.tenant,
            device=device.id,
            name=self.name,
            arguments=self.arguments,
            created_by=self.created_by,
            created_at=now_ms,
            expires_at=now_ms + self.seconds * 1000,
            emergency_reason=self.emergency_reason,
            reason=self.reason,
            campaign=self.campaign_id,
            if_offline=self.if_offline,
            state=CommandRecordState.PUBLISHING,
            claimed_at=now_ms,
        )

    def is_silent(self, batch: Batch, *, now_ms: int) -> bool:
        """Whether a batch was sent so long ago that nobody waits for a word of its devices."""
        waited = self.seconds * 1000 + SILENT_MS
        return batch.sent_at is not None and now_ms > batch.sent_at + waited


def batches_of(devices: Sequence[str]) -> tuple[Batch, ...]:
    """Devices in the batches in which they are sent to."""
    return tuple(
        Batch(
            number=number,
            devices=tuple(BatchDevice(id=one) for one in devices[start : start + BATCH_DEVICES]),
        )
        for number, start in enumerate(range(0, len(devices), BATCH_DEVICES))
    )


def counted(record: CampaignRecord, tallies: Iterable[BatchTally]) -> dict[str, int]:
    """Devices of a campaign by state; of batches that were never begun none has one."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts.update(tally.counts)
    left = record.devices - sum(counts.values())
    if left > 0:
        counts[str(Part.WAITING)] += left
    # What is closed sends to nobody who waits.
    if record.closing is not None and (never := counts.pop(str(Part.WAITING), 0)):
        counts[str(Part.CANCELED)] += never
    return dict(counts)


def state_of(record: CampaignRecord, *, now_ms: int) -> tuple[CampaignState, str | None]:
    """Where a campaign stands, and why it was closed, in words.

    Args:
        record: as it is stored.
        now_ms: milliseconds since the epoch.
    """
    match record.closing:
        case CampaignClosing.CANCELED:
            done = record.taken >= record.begun
            return (CampaignState.CANCELED if done else CampaignState.CANCELING), record.why
        case CampaignClosing.STOPPED | CampaignClosing.EXPIRED:
            return CampaignState.STOPPED, record.why
        case CampaignClosing.ENDED:
            return CampaignState.ENDED, record.why
        case None:
            pass
    if record.sent == record.batches:
        return CampaignState.SENT, None
    if now_ms >= record.send_before:
        # Also where no worker was there to say so.
        return CampaignState.STOPPED, OVER
    return (CampaignState.SENDING if record.begun else CampaignState.CREATED), None


OVER: Final = "the time in which it was to be sent was over"


@dataclass(frozen=True, kw_only=True)
class CampaignPage:
    """Campaigns, the newest first; ``cursor`` asks for the next page, if there may be one."""

    records: tuple[CampaignRecord, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class BatchPage:
    """Devices of a campaign in their order; ``cursor`` asks for the next page."""

    devices: tuple[BatchDevice, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class CampaignFilter:
    """Which campaigns a list shows; ``None`` asks nothing."""

    name: str | None = None
    group: str | None = None
    created_by: str | None = None

    def shows(self, name: str, group: str, created_by: str) -> bool:
        """Whether a campaign is shown; ``group`` is empty of one that names none."""
        return (
            self.name in (None, name)
            and self.group in (None, group)
            and self.created_by in (None, created_by)
        )


EVERY_CAMPAIGN: Final = CampaignFilter()


def encode_devices(devices: Sequence[BatchDevice]) -> str:
    """Devices as they are stored."""
    usual = asdict(BatchDevice(id=""))
    rows = [
        {name: value for name, value in asdict(one).items() if value != usual[name]}
        for one in devices
    ]
    return json.dumps(rows, separators=(",", ":"))


def decode_devices(text: str) -> tuple[BatchDevice, ...]:
    """Devices of what was stored."""
    return tuple(_device(one) for one in json.loads(text))


def _device(row: dict[str, Any]) -> BatchDevice:
    part, policies = Part(row.pop("part", Part.WAITING)), tuple(row.pop("policies", ()))
    return BatchDevice(part=part, policies=policies, **row)


@dataclass(frozen=True, kw_only=True)
class CampaignView:
    """A campaign and where it stands."""

    record: CampaignRecord
    state: CampaignState
    why: str | None
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
