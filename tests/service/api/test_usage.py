"""What a tenant used, over HTTP: counted once a day is over, from what was recorded in it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.downloads import DeliveryState, Outcome
from service.domain.files import FileState, FileVersion
from service.domain.instants import milliseconds
from service.domain.work import WorkKind
from service.operations.usage import usage_work
from service.settings import JobSettings
from tests.service.api.test_audit import chain, look_at, send

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/usage"


@pytest.fixture
def now(service: ServiceUnderTest) -> datetime:
    """The time, which stands still from now on."""
    service.ports.clock.now = datetime.now(UTC)
    return service.ports.clock.now


def count(service: ServiceUnderTest, at: datetime) -> None:
    """Have the worker count what is over at that time."""
    worker = service.app.state.operations.worker(JobSettings())
    before, service.ports.clock.now = service.ports.clock.now, at
    handle = worker.handlers[WorkKind.COUNT_USAGE]
    asyncio.run(handle(service.acme.tenant, usage_work(service.acme.tenant)))
    service.ports.clock.now = before


def midnight(now: datetime) -> datetime:
    """The end of its day."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def days(service: ServiceUnderTest, now: datetime) -> list[dict[str, Any]]:
    """The days that the tenant's managers see, up to the day of ``now``."""
    answer = service.call("GET", URL, params={"until": now.date().isoformat()})
    assert answer.status_code == 200, answer.text
    return answer.json()["days"]


def keep_file(service: ServiceUnderTest, file_id: str, *, size: int, at: datetime) -> None:
    """A file that the worker found whole at that time."""
    file = FileVersion(
        file_id=file_id,
        tenant="acme",
        name="recipes/new.json",
        size=size,
        sha256="ab" * 32,
        part_size=size,
        upload="upload",
        created_by="somebody",
        created_at=milliseconds(at),
        changed_at=milliseconds(at),
        state=FileState.AVAILABLE,
        version="v1",
    )
    service.ports.file_records.once.records["acme", file_id] = file


def use(service: ServiceUnderTest, now: datetime) -> None:
    """Two commands, a denial, and a file that came to two of three devices."""
    send(service)
    send(service, device="press-02")
    assert send(service, as_="operators").status_code == 403
    body = {"artifact": "recipes/steel.json", "group": "line-press"}
    download = service.call("POST", "/v1/downloads", json=body).json()["id"]
    stored = service.ports.download_records.once.records["acme", download]
    for device, state in (("01", "succeeded"), ("02", "succeeded"), ("03", "failed")):
        said = Outcome(state=DeliveryState(state), at=milliseconds(now), reason=None)
        service.ports.deliveries.end(stored, f"press-{device}", said)
    look_at(service, download)
    keep_file(service, "01JD0000000000000000000001", size=700, at=now)
    keep_file(service, "01JD0000000000000000000002", size=50, at=now - timedelta(days=3))


def test_a_day_that_is_over_is_counted(service: ServiceUnderTest, now: datetime) -> None:
    """Once, as it was: what comes after it changes nothing, and a timer waits for the next."""
    use(service, now)
    # A minute may pass until an entry stands.
    count(service, midnight(now) + timedelta(seconds=59))
    assert now.date().isoformat() not in [day["day"] for day in days(service, now)]
    counted = midnight(now) + timedelta(minutes=2)
    count(service, counted)
    send(service)
    count(service, counted + timedelta(hours=1))
    assert days(service, now)[-1] == {
        "day": now.date().isoformat(),
        "counted_at": counted.isoformat().replace("+00:00", "Z"),
        # The look at the usage above is the fifth.
        "decisions": 5,
        "denials": 1,
        "commands": 2,
        "deliveries": 2,
        "bytes_delivered": 2 * 1024,
        "bytes_uploaded": 700,
        "end": {"devices": 3, "devices_connected": 1, "stored_bytes": 750},
    }
    [(at, work)] = service.ports.timers.set_for.values()
    assert work.kind is WorkKind.COUNT_USAGE
    next_end = midnight(now) + timedelta(days=1)
    assert timedelta(minutes=2) <= at - next_end <= timedelta(minutes=10)


def test_the_first_link_of_a_day_asks_for_the_count(
    service: ServiceUnderTest, now: datetime
) -> None:
    """One that follows in the same day does not."""

    def asked() -> int:
        kinds = [work.kind for _, work in service.ports.work_queue.delayed]
        return kinds.count(WorkKind.COUNT_USAGE)

    send(service)
    chain(service)
    assert asked() == 1
    send(service)
    chain(service)
    assert asked() == 1
    service.ports.clock.now = now + timedelta(days=1)
    record = service.ports.audit.trail[-1]
    assert record.at == milliseconds(now)
    worker = service.app.state.operations.worker(JobSettings())
    keep_a_denial(service)
    chaining = worker.handlers[WorkKind.CHAIN_AUDIT]
    asyncio.run(chaining(service.acme.tenant, usage_work(service.acme.tenant)))
    assert asked() == 2


def keep_a_denial(service: ServiceUnderTest) -> None:
    """An entry of now."""
    service.call("POST", "/v1/devices/press-01/commands", as_="operators", json={"name": "reboot"})


def test_what_was_counted_late_says_so(service: ServiceUnderTest, now: datetime) -> None:
    """How the day ended nobody can tell then; what was recorded in it is counted all the same."""
    use(service, now)
    count(service, now)
    count(service, midnight(now) + timedelta(days=1, hours=9))
    today, tomorrow = days(service, now + timedelta(days=1))[-2:]
    assert (today["decisions"], today["bytes_uploaded"], today["end"]) == (4, 700, None)
    assert (tomorrow["decisions"], tomorrow["end"]) == (0, None)


def test_a_span_of_days_has_its_bounds(service: ServiceUnderTest, now: datetime) -> None:
    """Both days are in it, it is of a year at most, and a day has one form."""
    for back in (3, 2, 1):
        count(service, midnight(now) - timedelta(days=back, minutes=-5))
    known = [(now.date() - timedelta(days=back)).isoformat() for back in (3, 2)]
    found = service.call("GET", URL, params={"since": known[0], "until": known[1]}).json()
    assert [day["day"] for day in found["days"]] == known
    for params in (
        {"since": "2026-11-30", "until": "2026-11-29"},
        {"since": "2025-11-30", "until": "2026-12-01"},
        {"since": "2026-W01-1"},
        {"until": "0001-01-01"},
        {"until": "2026-02-30"},
    ):
        assert service.call("GET", URL, params=params).status_code == 400, params


def test_only_managers_see_their_own_tenants_usage(
    service: ServiceUnderTest, now: datetime
) -> None:
    """An operator is denied; another tenant's manager finds none of these days."""
    count(service, midnight(now) + timedelta(minutes=2))
    assert len(days(service, now)) == 1
    refused = service.call("GET", URL, as_="operators")
    assert (refused.status_code, refused.json()["action"]) == (403, "ViewUsage")
    token = service.globex.id_token("kim", ["managers"])
    answer = service.client.get(
        URL,
        headers={"Authorization": f"Bearer {token}"},
        params={"until": now.date().isoformat()},
    )
    assert (answer.status_code, answer.json()) == (200, {"days": []})
