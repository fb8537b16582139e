"""The worker counts each entry of a day once, however many there are, and whoever dies where."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema import Draft4Validator

from service.adapters.memory.devices import MemoryDevices
from service.adapters.memory.downloads import MemoryDownloadRecords
from service.adapters.memory.files import MemoryFileRecords
from service.adapters.memory.usage import MemoryUsageDays, MemoryUsageEvents
from service.adapters.memory.work import MemoryTimers
from service.domain.usage import DayEnd, UnreadableUsageError, UsageDay
from service.errors import UnavailableError
from service.operations.usage import MOST_BEHIND, UsageCounting, usage_work
from tests.infra.conftest import ROOT
from tests.service.audited import BEGAN, AuditedTenant
from tests.service.operations.test_audit_chaining import Dying, Killed

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool

SCHEMA: Final = json.loads((ROOT / "docs" / "usage-event.schema.json").read_text())


@pytest.fixture
def audited(pools: tuple[MemoryUserPool, MemoryUserPool]) -> AuditedTenant:
    """An empty trail of acme."""
    return AuditedTenant(tenant=pools[0].tenant)


def counting(audited: AuditedTenant) -> UsageCounting:
    """The worker's part, over empty twins beside the trail."""
    return UsageCounting(
        usage=MemoryUsageDays(),
        events=MemoryUsageEvents(),
        entries=audited.entries,
        downloads=MemoryDownloadRecords(),
        files=MemoryFileRecords(),
        devices=MemoryDevices(),
        timers=MemoryTimers(),
        clock=lambda: audited.now,
    )


def count(audited: AuditedTenant, worker: UsageCounting) -> None:
    """Handle one message."""
    asyncio.run(worker.handle(audited.tenant, usage_work(audited.tenant)))


def counted(worker: UsageCounting) -> list[UsageDay]:
    """The days that are there."""
    assert isinstance(worker.usage, MemoryUsageDays)
    found = worker.usage.counted.get("acme", {})
    return [found[day] for day in sorted(found)]


def heard(worker: UsageCounting) -> list[dict[str, Any]]:
    """What was told, each held to the schema as EventBridge would deliver it."""
    assert isinstance(worker.events, MemoryUsageEvents)
    for detail in worker.events.told:
        Draft4Validator(SCHEMA["properties"]["detail"]).validate(detail)
    return worker.events.told


@pytest.mark.parametrize("at_one_time", [False, True])
def test_every_entry_of_a_day_counts_once(audited: AuditedTenant, *, at_one_time: bool) -> None:
    """Over several pages, also where these end within one millisecond."""
    for _ in range(2_300):
        asyncio.run(audited.entries.write(audited.tenant, audited.record()))
        audited.now += timedelta(milliseconds=0 if at_one_time else 1)
    audited.now += timedelta(days=1)
    worker = counting(audited)
    count(audited, worker)
    [day] = counted(worker)
    assert (day.day, day.decisions, day.commands) == (BEGAN.date(), 2_300, 2_300)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", ["usage", "events", "entries", "files", "devices", "timers"])
def test_a_worker_that_dies_counts_no_day_twice(
    audited: AuditedTenant, part: str, *, after: bool
) -> None:
    """Killed before or after each call, its message comes again; each day stands as it was.

    Each is told too: in its order, and what is told again is the same.
    """
    whole, kills = counting(audited), 0
    for look in range(6):
        audited.write(look + 1)
        audited.now = BEGAN.replace(hour=0) + timedelta(days=look + 1, minutes=5)
        dying = Dying(getattr(whole, part), at=1 + look // 2, after=after)
        try:
            count(audited, replace(whole, **{part: dying}))
        except Killed:
            kills += 1
        count(audited, whole)
    assert kills >= 1
    assert [one.decisions for one in counted(whole)] == [1, 2, 3, 4, 5, 6]
    assert all(one.end is not None for one in counted(whole))
    told = heard(whole)
    assert [*{one["id"]: one for one in told}.values()] == [
        one.told_of("acme") for one in counted(whole)
    ]
    assert all(
        one == whole_one for one in told for whole_one in told if one["id"] == whole_one["id"]
    )
    assert len(told) <= len(counted(whole)) + kills
    assert set(whole.timers.set_for) == {"acme--usage"}  # type: ignore[attr-defined]


def test_a_bus_that_takes_nothing_keeps_no_day_from_counting(audited: AuditedTenant) -> None:
    """Its days are counted in their time, the next is looked for, and all are told later."""
    worker = counting(audited)
    assert isinstance(worker.events, MemoryUsageEvents)
    worker.events.available = False
    for day in range(1, 4):
        audited.now = BEGAN.replace(hour=0) + timedelta(days=day, minutes=5)
        with pytest.raises(UnavailableError):
            count(audited, worker)
        assert isinstance(worker.timers, MemoryTimers)
        assert worker.timers.set_for.keys() == {"acme--usage"}
    assert (len(counted(worker)), heard(worker)) == (3, [])
    worker.events.available = True
    count(audited, worker)
    assert [one["day"] for one in heard(worker)] == [
        (BEGAN.date() + timedelta(days=day)).isoformat() for day in range(3)
    ]
    count(audited, worker)
    assert len(heard(worker)) == 3


def test_days_counted_before_anybody_told_are_not_told(audited: AuditedTenant) -> None:
    """Of the release before: the first count of this one tells its own days alone."""
    worker = counting(audited)
    audited.now = BEGAN.replace(hour=0) + timedelta(days=1, minutes=5)
    count(audited, worker)
    assert isinstance(worker.usage, MemoryUsageDays)
    assert isinstance(worker.events, MemoryUsageEvents)
    worker.usage.told_until.clear()
    worker.events.told.clear()
    audited.now += timedelta(days=2)
    count(audited, worker)
    days = [(BEGAN.date() + timedelta(days=day)).isoformat() for day in (1, 2)]
    assert [one["day"] for one in heard(worker)] == days


def test_days_too_far_behind_are_left_out(audited: AuditedTenant) -> None:
    """A worker that comes back after a year counts a month, not all."""
    worker = counting(audited)
    audited.now += timedelta(days=1)
    count(audited, worker)
    audited.now += timedelta(days=365)
    count(audited, worker)
    assert len(counted(worker)) == 1 + MOST_BEHIND
    assert counted(worker)[-1].day == audited.now.date() - timedelta(days=1)


def test_a_day_is_read_as_it_was_written() -> None:
    """One of another release is refused, and not taken for something else."""
    end = DayEnd(devices=1, devices_connected=2, stored_bytes=3)
    for day in (
        UsageDay(
            day=BEGAN.date(),
            counted_at=1,
            decisions=2,
            denials=3,
            commands=4,
            deliveries=5,
            bytes_delivered=6,
            bytes_uploaded=7,
            end=stands,
        )
        for stands in (end, None)
    ):
        assert UsageDay.read(day.text) == day
        for wrong in (day.text.replace('"version": 1', '"version": 2'), "{}", "[]", "7", "{"):
            with pytest.raises(UnreadableUsageError):
                UsageDay.read(wrong)
