"""Lists of downloads over HTTP: filters, pages, what each caller may view, and canceling one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.devices import Device
from service.domain.downloads import Closing, DeliveryState, Outcome
from service.settings import JobSettings

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/downloads"
FILE = "recipes/steel.json"
FIRMWARE = "firmware/press-2.bin"
AT = 1_790_000_000_000


def start(service: ServiceUnderTest, artifact: str = FILE, **target: str) -> str:
    """A download; its id."""
    answer = service.call("POST", URL, json={"artifact": artifact, **target})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def listed(service: ServiceUnderTest, query: str = "", *, as_: str = "managers") -> list[str]:
    """The ids of one page."""
    answer = service.call("GET", f"{URL}?{query}", as_=as_)
    assert answer.status_code == 200, answer.text
    return [download["id"] for download in answer.json()["downloads"]]


def end(service: ServiceUnderTest, download: str, device: str, state: DeliveryState) -> None:
    """Have an event tell how it ended on a device."""
    record = service.ports.download_records.once.records["acme", download]
    service.ports.deliveries.end(record, device, Outcome(state=state, at=AT))


def work(service: ServiceUnderTest) -> None:
    """Have the worker do what waits."""
    worker = service.app.state.operations.worker(JobSettings(jobs_per_second=1000))

    async def scenario() -> None:
        while service.ports.work_queue.waiting:
            for received in await service.ports.work_queue.receive():
                await worker.handle(received)

    asyncio.run(scenario())


def test_downloads_are_listed_the_newest_first(service: ServiceUnderTest) -> None:
    """In pages of any size each one once, also while others are begun."""
    made = [start(service, device=f"press-0{1 + number % 3}") for number in range(7)]
    made = sorted(made, reverse=True)
    assert listed(service) == made
    seen, cursor = list[str](), ""
    while True:
        page = service.call("GET", f"{URL}?limit=3{cursor}").json()
        seen += [download["id"] for download in page["downloads"]]
        start(service, device="press-01")
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == made, "what came meanwhile is on the first page alone"


def test_a_list_is_filtered(service: ServiceUnderTest) -> None:
    """By device, group, file and state; several together ask for all of them."""
    one = start(service, device="press-01")
    firmware = start(service, artifact=FIRMWARE, device="press-01")
    group = start(service, group="line-press")
    end(service, one, "press-01", DeliveryState.SUCCEEDED)
    for query, expected in (
        ("device=press-01", {one, firmware}),
        ("group=line-press", {group}),
        ("group=all", set[str]()),
        (f"artifact={FIRMWARE}", {firmware}),
        ("state=succeeded", {one}),
        ("state=created", {firmware, group}),
        (f"device=press-01&artifact={FILE}&state=succeeded", {one}),
        ("device=press-02", set[str]()),
    ):
        assert set(listed(service, query)) == expected, query


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group=line-pres", "group"),
        ("state=done", "state"),
        ("artifac=x", "artifac"),
        ("cursor=nonsense", "cursor"),
    ],
)
def test_a_filter_with_a_slip_is_refused(service: ServiceUnderTest, query: str, field: str) -> None:
    """400 that names the parameter: it would show everything, or nothing for ever."""
    answer = service.call("GET", f"{URL}?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_a_list_shows_what_its_caller_may_view(service: ServiceUnderTest) -> None:
    """Responders see critical devices alone; nobody sees another tenant's, or a lost device's."""
    critical = start(service, device="press-01")
    mild = replace(
        service.device("press-02"),
        attributes={**service.device("press-02").attributes, "criticality": "low"},
    )
    service.ports.devices.add(mild)
    start(service, device="press-02")
    start(service, group="line-press")
    assert len(listed(service)) == 3
    assert listed(service, as_="emergency-responders") == [critical]
    assert listed(service, as_="nobody") == []
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    assert service.client.get(URL, headers=headers).json() == {"downloads": [], "cursor": None}
    service.ports.devices.add(replace(mild, attributes={"utc_offset": "broken"}))
    assert len(listed(service)) == 2
    assert service.ports.audit.trail[-1].action == "DownloadFile", "a list is no denial"


def test_a_canceled_download_ends_on_each_device(service: ServiceUnderTest) -> None:
    """202, `canceling`, then `canceled` once the worker did so; again it is the same answer."""
    download = start(service, group="line-press")
    work(service)
    service.ports.download_jobs.at_it = {"press-03"}
    end(service, download, "press-01", DeliveryState.SUCCEEDED)
    for _ in range(2):
        answer = service.call("POST", f"{URL}/{download}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "canceling")
        assert answer.headers["Location"] == f"{URL}/{download}"
    assert listed(service, "state=canceling") == [download]
    work(service)
    seen = service.call("GET", f"{URL}/{download}").json()
    assert {one["device"]: one["state"] for one in seen["deliveries"]} == {
        "press-01": "succeeded",
        "press-02": "canceled",
        "press-03": "in_progress",
    }
    assert seen["state"] == "canceling"
    end(service, download, "press-03", DeliveryState.FAILED)
    seen = service.call("GET", f"{URL}/{download}").json()
    assert (seen["state"], seen["counts"]) == (
        "canceled",
        {"succeeded": 1, "canceled": 1, "failed": 1},
    )
    again = service.call("POST", f"{URL}/{download}/cancel")
    assert (again.status_code, again.json()["state"]) == (202, "canceled")
    audited = [one for one in service.ports.audit.trail if one.action == "CancelDownload"]
    assert [one.subject for one in audited] == [FILE] * 3


def test_what_is_over_cannot_be_canceled(service: ServiceUnderTest) -> None:
    """Ended, stopped, or never begun: 409 with its state."""
    ended, stopped = start(service, device="press-01"), start(service, device="press-02")
    end(service, ended, "press-01", DeliveryState.SUCCEEDED)
    records = service.ports.download_records.once.records
    records["acme", stopped] = replace(records["acme", stopped], closing=Closing.STOPPED)
    service.ports.work_queue.available = False
    failed = service.call("POST", URL, json={"artifact": FILE, "device": "press-03"})
    service.ports.work_queue.available = True
    never = failed.headers["Location"].rpartition("/")[2]
    for download, state in ((ended, "succeeded"), (stopped, "canceled"), (never, "failed")):
        answer = service.call("POST", f"{URL}/{download}/cancel")
        assert answer.status_code == 409
        assert f"is `{state}`" in answer.json()["detail"]


def test_who_may_not_cancels_nothing(service: ServiceUnderTest) -> None:
    """Operators, other tenants; a download that is not there is 404."""
    download = start(service, device="press-01")
    refused = service.call("POST", f"{URL}/{download}/cancel", as_="operators")
    assert (refused.status_code, refused.json()["policies"]) == (403, ["operators-view-only"])
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    other = service.client.post(f"{URL}/{download}/cancel", headers=headers)
    assert other.status_code == 404
    assert service.call("POST", f"{URL}/01JD0000000000000000000000/cancel").status_code == 404
    assert service.ports.download_records.once.records["acme", download].closing is None


def test_a_cancel_that_was_not_told_is_asked_again(service: ServiceUnderTest) -> None:
    """The queue is away: no success; what stands in the record keeps the worker from beginning."""
    download = start(service, device="press-01")
    service.ports.work_queue.available = False
    assert service.call("POST", f"{URL}/{download}/cancel").status_code >= 500
    service.ports.work_queue.available = True
    work(service)
    assert service.ports.download_jobs.made == {}
    answer: Any = service.call("POST", f"{URL}/{download}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "canceled")


def test_a_group_of_nobody_is_told_at_once(service: ServiceUnderTest) -> None:
    """Also one whose only devices never came or lie in no group: 409, and no row is listed."""
    answer = service.call("POST", URL, json={"artifact": FILE, "group": "line-pump"})
    assert answer.status_code == 409
    assert listed(service) == []
    service.ports.devices.add(Device(tenant="acme", id="pump-01", groups=("line-pump",)))
    assert listed(service) == []
    start(service, group="line-pump")
    assert len(listed(service, "group=line-pump")) == 1


def test_a_device_has_a_history_of_its_files(service: ServiceUnderTest) -> None:
    """Those to it and those to groups, as they went there; others' are not shown, page by page."""
    made = [
        service.call("POST", "/v1/downloads", json={"artifact": "recipes/steel.json", **target})
        for target in (
            {"device": "press-01"},
            {"device": "press-02"},
            {"group": "line-press"},
            {"device": "press-01"},
        )
    ]
    ids = [answer.json()["id"] for answer in made]
    record = service.ports.download_records.once.records["acme", ids[2]]
    failed = Outcome(state=DeliveryState.FAILED, at=1_790_000_000_000, reason="disk full")
    service.ports.deliveries.end(record, "press-01", failed)
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = service.call(
            "GET",
            "/v1/devices/press-01/downloads",
            as_="operators",
            params={"limit": "1", **cursor},
        )
        assert page.status_code == 200, page.text
        seen += page.json()["downloads"]
        if page.json()["cursor"] is None:
            break
        cursor = {"cursor": page.json()["cursor"]}
    assert [one["id"] for one in seen] == [ids[3], ids[2], ids[0]]
    assert [(one["group"], one["state"]) for one in seen] == [
        (None, "created"),
        ("line-press", "failed"),
        (None, "created"),
    ]
    assert seen[1]["detail"] == {"reason": "disk full"}
    others = service.call("GET", "/v1/devices/pump-01/downloads")
    assert others.status_code == 404
