"""Events of where a download or a campaign stands as a whole, told by each look of the worker.

What stands in a record is told once: the words of what was told stand in the record too, stored
behind the telling. Whoever dies between the two has it told again, under the same id. What comes
and goes between two looks is told by the audit trail's events alone (``decided_events``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.domain.campaigns import CampaignClosing
from service.domain.downloads import Closing, TargetKind
from service.domain.events import Event, EventType, event_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from service.domain.campaigns import CampaignRecord
    from service.domain.downloads import DownloadRecord

_MOST_WORDS: Final = 200
_PAUSED: Final = "paused "
_CLOSED: Final[Mapping[Closing, EventType]] = {
    Closing.ENDED: EventType.ROLLOUT_ENDED,
    Closing.CANCELED: EventType.ROLLOUT_CANCELED,
    Closing.STOPPED: EventType.ROLLOUT_STOPPED,
    Closing.EXPIRED: EventType.ROLLOUT_EXPIRED,
}
_CAMPAIGN_CLOSED: Final[Mapping[CampaignClosing, EventType]] = {
    CampaignClosing.ENDED: EventType.CAMPAIGN_ENDED,
    CampaignClosing.CANCELED: EventType.CAMPAIGN_CANCELED,
    CampaignClosing.STOPPED: EventType.CAMPAIGN_STOPPED,
    CampaignClosing.EXPIRED: EventType.CAMPAIGN_EXPIRED,
}


def events_of_download(
    record: DownloadRecord, *, now_ms: int
) -> tuple[tuple[Event, ...], frozenset[str]]:
    """What is to be told of a download now, and the words of all that is told then.

    Args:
        record: as a look of the worker leaves it.
        now_ms: milliseconds since the epoch; the time of what has none of its own.
    """
    standing = dict(_standing(record, now_ms))
    over = {
        word: word.removeprefix(_PAUSED)
        for word in record.told
        if word.startswith(_PAUSED) and word not in standing and record.closing is None
    }
    about = {
        "download": record.download_id,
        "target_kind": str(record.target_kind),
        "target": record.target,
    }
    device = record.target if record.target_kind is TargetKind.DEVICE else None

    def event(word: str, kind: EventType, at: int, more: Mapping[str, Any]) -> Event:
        return Event(
            event_id=event_id(record.tenant, "download", record.download_id, word),
            type=kind,
            at=at,
            device=device,
            data={**about, **more},
        )

    events = [
        event(f"resumed {paused}", EventType.ROLLOUT_RESUMED, now_ms, {})
        for _, paused in sorted(over.items())
    ]
    events += [
        event(word, kind, at, more)
        for word, (kind, at, more) in standing.items()
        if word not in record.told
    ]
    return tuple(events), frozenset(standing)


def events_of_campaign(
    record: CampaignRecord, *, now_ms: int
) -> tuple[tuple[Event, ...], frozenset[str]]:
    """The same of a campaign."""
    standing: dict[str, tuple[EventType, int]] = {
        "started": (EventType.CAMPAIGN_STARTED, record.created_at)
    }
    if record.sent >= record.batches and record.closing is None:
        standing["sent"] = (EventType.CAMPAIGN_SENT, now_ms)
    if record.closing is not None:
        standing[str(record.closing)] = (_CAMPAIGN_CLOSED[record.closing], now_ms)
    about: dict[str, Any] = {"campaign": record.campaign_id, "devices": record.devices}
    why = _why(record.why if record.closing is not None else None)
    events = [
        Event(
            event_id=event_id(record.tenant, "campaign", record.campaign_id, word),
            type=kind,
            at=at,
            data={**about, **(why if word == str(record.closing) else {})},
        )
        for word, (kind, at) in standing.items()
        if word not in record.told
    ]
    return tuple(events), record.told | standing.keys()


def _standing(
    record: DownloadRecord, now_ms: int
) -> Iterator[tuple[str, tuple[EventType, int, Mapping[str, Any]]]]:
    """What a record says by itself, each by its words, in the order in which it can come."""
    yield "started", (EventType.ROLLOUT_STARTED, record.created_at, {"devices": record.devices})
    if record.approved_by is not None:
        yield "approved", (EventType.ROLLOUT_APPROVED, now_ms, {})
    if record.rollout is not None:
        for wave, at in sorted(record.waves_at.items()):
            of = len(record.waves)
            more = {"wave": wave + 1, "waves": of, "devices": record.waves[wave]}
            yield f"wave {wave}", (EventType.ROLLOUT_WAVE, at, more)
    if record.paused_at is not None:
        yield f"{_PAUSED}{record.paused_at}", (EventType.ROLLOUT_PAUSED, record.paused_at, {})
    if record.closing is not None:
        yield str(record.closing), (_CLOSED[record.closing], now_ms, _why(record.why))


def _why(why: str | None) -> dict[str, str]:
    return {} if why is None else {"why": why[:_MOST_WORDS]}
