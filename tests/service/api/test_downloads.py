"""Downloads over HTTP: a file to a device or a group, as a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service.domain.devices import Device
from service.domain.downloads import MAX_MEMBERS, DeliveryState, Outcome
from service.domain.groups import DeviceGroup
from service.domain.work import Work, WorkKind
from service.errors import ConflictError
from service.operations.downloads import check_members

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/downloads"
FILE = "recipes/steel.json"
FIRMWARE = "firmware/press-2.bin"
AT = 1_790_000_000_000


def planned(service: ServiceUnderTest) -> list[tuple[str, ...]]:
    """The devices of each job of each download that was handed to the worker."""
    sent = [Work.decode(one.text) for one in service.ports.work_queue.waiting]
    assert {work.kind for work in sent} <= {WorkKind.ADVANCE_DOWNLOAD}
    return [
        job.members
        for work in sent
        for job in service.ports.deliveries.planned[f"acme--{work.about['download']}"].values()
    ]


def test_a_manager_sends_a_file_to_a_device(service: ServiceUnderTest) -> None:
    """202, a record with size, digest and ETag, an audit record, work, a place to watch it."""
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert (answer.status_code, answer.json()["state"]) == (202, "created")
    assert planned(service) == [("press-01",)]
    [stored] = service.ports.download_records.once.records.values()
    assert (stored.target, stored.size, stored.sha256) == ("press-01", 1024, "ab" * 32)
    assert (stored.etag, stored.devices, stored.jobs) == ('"e1"', 1, 1)
    [audited] = service.ports.audit.trail
    assert (audited.action, audited.subject) == ("DownloadFile", FILE)
    service.ports.deliveries.end(
        stored, "press-01", Outcome(state=DeliveryState.FAILED, at=AT, reason="disk full")
    )
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["device"], seen["group"], seen["counts"]) == (
        "failed",
        "press-01",
        None,
        {"failed": 1},
    )
    [delivery] = seen["deliveries"]
    assert (delivery["device"], delivery["detail"]) == ("press-01", {"reason": "disk full"})


def test_an_operator_downloads_nothing(service: ServiceUnderTest) -> None:
    """Refused with the policy named, and told the same whether the file exists or not."""
    for artifact in (FILE, "no/such/file"):
        answer = service.call(
            "POST", URL, as_="operators", json={"device": "press-01", "artifact": artifact}
        )
        assert answer.status_code == 403
        assert answer.json()["policies"] == ["operators-view-only"]
    assert planned(service) == []
    assert len(service.ports.audit.trail) == 2


def test_a_group_is_a_target(service: ServiceUnderTest) -> None:
    """A group of the tenant and its root group `all` are addressed; others are not found."""
    for group in ("line-press", "all"):
        assert service.call("POST", URL, json={"group": group, "artifact": FILE}).status_code == 202
    for group in ("ward", "nothing", "globex--ward", "*"):
        assert service.call("POST", URL, json={"group": group, "artifact": FILE}).status_code == 404
    assert len(planned(service)) == 2


def test_a_group_reaches_its_members_of_that_moment(service: ServiceUnderTest) -> None:
    """Each member by name, those of groups within too; `all` is every device there is."""
    service.ports.devices.add(Device(tenant="acme", id="cell-1", groups=("cell-4",)))
    for group in ("line-press", "zone-hall-1", "all"):
        service.call("POST", URL, json={"group": group, "artifact": FILE})
    presses = ("press-01", "press-02", "press-03")
    assert planned(service) == [presses, ("cell-1",), ("cell-1", *presses)]


def test_a_group_of_any_size_is_made_of_jobs(service: ServiceUnderTest) -> None:
    """Of at most 100 devices each, no device twice and none left out; a page shows some."""
    for number in range(250):
        service.ports.devices.add(
            Device(tenant="acme", id=f"pump-{number:03}", groups=("line-pump",))
        )
    answer = service.call("POST", URL, json={"group": "line-pump", "artifact": FILE})
    assert answer.status_code == 202
    jobs = planned(service)
    assert [len(job) for job in jobs] == [100, 100, 50]
    assert sorted(sum(jobs, ())) == [f"pump-{number:03}" for number in range(250)]
    url = answer.headers["Location"]
    seen = service.call("GET", f"{url}?limit=100").json()
    assert (seen["counts"], len(seen["deliveries"])) == ({"created": 250}, 100)


def test_a_group_of_just_as_many_is_served() -> None:
    """The bound itself is within it."""
    group, device = DeviceGroup(tenant="acme", id="line-pump"), Device(tenant="acme", id="pump-1")
    check_members(group, [device] * MAX_MEMBERS)
    with pytest.raises(ConflictError):
        check_members(group, [device] * (MAX_MEMBERS + 1))


def test_a_group_that_no_download_can_serve_is_told(service: ServiceUnderTest) -> None:
    """Nobody in it, or more than 10,000: 409, and what would be right."""
    empty = service.call("POST", URL, json={"group": "line-pump", "artifact": FILE})
    assert empty.status_code == 409
    assert "has no device yet" in empty.json()["detail"]
    for number in range(10_001):
        service.ports.devices.add(Device(tenant="acme", id=f"pump-{number}", groups=("line-pump",)))
    large = service.call("POST", URL, json={"group": "line-pump", "artifact": FILE})
    assert large.status_code == 409
    assert "more than 10000 devices" in large.json()["detail"]
    assert "to smaller groups" in large.json()["detail"]
    assert planned(service) == []


def test_exactly_one_target_is_named(service: ServiceUnderTest) -> None:
    """Neither and both are refused."""
    for body in ({"artifact": FILE}, {"artifact": FILE, "device": "press-01", "group": "all"}):
        answer = service.call("POST", URL, json=body)
        assert answer.status_code == 400
        assert "exactly one" in answer.json()["errors"][0]["problem"]


def test_file_names_cannot_leave_the_bucket(service: ServiceUnderTest) -> None:
    """Absolute, climbing, empty and escaped names are refused before anything is looked up."""
    climbing = ("../globex-artifacts/secret.bin", "a/../b", ".", "..", "a/./b")
    for name in ("/etc/passwd", *climbing, "a//b", "a/", "a\\b", "a b", "a\n", "${x}", "é"):
        answer = service.call("POST", URL, json={"device": "press-01", "artifact": name})
        assert answer.status_code == 400, name


def test_a_file_that_nobody_vouches_for_is_not_delivered(service: ServiceUnderTest) -> None:
    """Without a digest of the whole file: 409, and what to do about it."""
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": "no-digest.bin"})
    assert answer.status_code == 409
    assert "SHA-256" in answer.json()["detail"]
    assert planned(service) == []


def test_another_tenants_file_is_not_found(service: ServiceUnderTest) -> None:
    """Only the tenant's own bucket is looked into."""
    assert (
        service.call("POST", URL, json={"device": "press-01", "artifact": "secret.bin"}).status_code
        == 404
    )


def test_what_cannot_be_handed_over_is_visibly_failed(service: ServiceUnderTest) -> None:
    """502 with the download's place, where its state is `failed`."""
    service.ports.work_queue.available = False
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert answer.status_code == 502
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["failure"]) == ("failed", "it could not be handed to the worker")


def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(service: ServiceUnderTest) -> None:
    """Queue and table both away: still 502 with the place, where nothing claims that it started."""
    service.ports.work_queue.available = False
    service.ports.download_records.once.can_settle = False
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert answer.json()["type"] == "urn:cedarfleet:problem:download-not-started"
    assert service.call("GET", answer.headers["Location"]).json()["state"] == "created"


def test_what_failed_is_begun_by_the_same_key(service: ServiceUnderTest) -> None:
    """Asked for again, it is handed over again, and no longer failed."""
    headers = {"Idempotency-Key": "rollout-8"}
    body = {"device": "press-01", "artifact": FILE}
    service.ports.work_queue.available = False
    assert service.call("POST", URL, json=body, headers=headers).status_code == 502
    service.ports.work_queue.available = True
    again = service.call("POST", URL, json=body, headers=headers)
    assert (again.status_code, again.json()["state"]) == (202, "created")
    assert planned(service) == [("press-01",)]


def test_firmware_waits_for_the_maintenance_window(service: ServiceUnderTest) -> None:
    """IT staff of a zone may update only in the device-local window; managers may at any time."""
    night, noon = (
        datetime(2026, 11, 22, 22, 30, tzinfo=UTC),
        datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
    )
    for moment, forbidden in ((night, False), (noon, True)):
        service.ports.clock.now = moment
        token = service.acme.access_token("rollout", "fleet/update", exp=4_000_000_000)
        headers = {"Authorization": f"Bearer {token}"}
        answer = service.client.post(
            URL, headers=headers, json={"device": "press-01", "artifact": FIRMWARE}
        )
        assert answer.status_code == (403 if forbidden else 202), answer.text
        if forbidden:
            assert answer.json()["policies"] == ["firmware-in-maintenance-window"]
    assert (
        service.call("POST", URL, json={"device": "press-01", "artifact": FIRMWARE}).status_code
        == 202
    )


def test_firmware_reaches_a_group_if_each_member_may_have_it(
    service: ServiceUnderTest,
) -> None:
    """One member outside its window stops the group; with all inside, the group gets it."""
    service.ports.clock.now = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    token = service.acme.access_token("rollout", "fleet/update", exp=4_000_000_000)
    headers = {"Authorization": f"Bearer {token}"}
    body = {"group": "line-press", "artifact": FIRMWARE}
    assert service.client.post(URL, headers=headers, json=body).status_code == 202
    assert planned(service) == [("press-01", "press-02", "press-03")], (
        "whoever joins later was not decided on"
    )
    device = service.device("press-03")
    day_shift = replace(device, attributes={**device.attributes, "window": "09:00-10:00"})
    service.ports.devices.add(day_shift)
    answer = service.client.post(URL, headers=headers, json=body)
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["firmware-to-groups-member-by-member"]


def test_firmware_reaches_a_large_group_member_by_member(service: ServiceUnderTest) -> None:
    """The 302nd device, of another batch than the first, keeps the firmware from all."""
    service.ports.clock.now = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    press = service.device("press-01")
    for number in range(302):
        service.ports.devices.add(replace(press, id=f"many-{number:03}", groups=("line-pump",)))
    token = service.acme.access_token("rollout", "fleet/update", exp=4_000_000_000)
    headers = {"Authorization": f"Bearer {token}"}
    body = {"group": "line-pump", "artifact": FIRMWARE}
    assert service.client.post(URL, headers=headers, json=body).status_code == 202
    shut = {**press.attributes, "window": "09:00-10:00"}
    last = replace(press, id="many-301", groups=("line-pump",), attributes=shut)
    service.ports.devices.add(last)
    assert service.client.post(URL, headers=headers, json=body).status_code == 403


def test_a_repeated_request_with_one_key_makes_one_job(service: ServiceUnderTest) -> None:
    """The same key and request answer the same download; another request under it is refused."""
    headers = {"Idempotency-Key": "rollout-7"}
    first = service.call(
        "POST", URL, json={"device": "press-01", "artifact": FILE}, headers=headers
    )
    again = service.call(
        "POST", URL, json={"device": "press-01", "artifact": FILE}, headers=headers
    )
    assert first.json() == again.json()
    assert len(set(planned(service))) == 1
    other = service.call(
        "POST", URL, json={"device": "press-02", "artifact": FILE}, headers=headers
    )
    assert other.status_code == 422


def test_a_download_is_found_in_its_tenant_only(service: ServiceUnderTest) -> None:
    """Another tenant's manager gets 404."""
    made = service.call("POST", URL, json={"device": "press-01", "artifact": FILE}).json()
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    assert service.client.get(made["url"], headers=headers).status_code == 404
