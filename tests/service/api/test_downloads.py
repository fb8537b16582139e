"""Downloads over HTTP: a file to a device or a group, as a job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service.domain.devices import Device
from service.domain.downloads import (
    Delivery,
    DeliveryState,
    DownloadProgress,
    DownloadRecordState,
)

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/downloads"
FILE = "recipes/steel.json"
FIRMWARE = "firmware/press-2.bin"


def test_a_manager_sends_a_file_to_a_device(service: ServiceUnderTest) -> None:
    """202, one job with the file's size, digest and ETag, an audit record, a place to watch it."""
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert (answer.status_code, answer.json()["state"]) == (202, "started")
    [job] = service.ports.download_jobs.started.values()
    assert job.job_id == f"acme--{answer.json()['id']}"
    [stored] = service.ports.download_records.once.records.values()
    assert stored.state is DownloadRecordState.STARTED, "also for whoever asks when the job is gone"
    assert (job.target, job.size, job.sha256, job.etag) == ("press-01", 1024, "ab" * 32, '"e1"')
    [audited] = service.ports.audit.trail
    assert (audited.action, audited.subject) == ("DownloadFile", FILE)
    service.ports.download_jobs.progress_of[job.job_id] = DownloadProgress(
        state=DeliveryState.SUCCEEDED,
        counts={DeliveryState.SUCCEEDED: 1},
        deliveries=(
            Delivery(
                device="press-01", state=DeliveryState.SUCCEEDED, updated_at=1_790_000_000_000
            ),
        ),
    )
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["device"], seen["group"], seen["counts"]) == (
        "succeeded",
        "press-01",
        None,
        {"succeeded": 1},
    )
    assert seen["deliveries"][0]["device"] == "press-01"


def test_an_operator_downloads_nothing(service: ServiceUnderTest) -> None:
    """Refused with the policy named, and told the same whether the file exists or not."""
    for artifact in (FILE, "no/such/file"):
        answer = service.call(
            "POST", URL, as_="operators", json={"device": "press-01", "artifact": artifact}
        )
        assert answer.status_code == 403
        assert answer.json()["policies"] == ["operators-view-only"]
    assert service.ports.download_jobs.started == {}
    assert len(service.ports.audit.trail) == 2


def test_a_group_is_a_target(service: ServiceUnderTest) -> None:
    """A group of the tenant and its root group `all` are addressed; others are not found."""
    for group in ("line-press", "all"):
        assert service.call("POST", URL, json={"group": group, "artifact": FILE}).status_code == 202
    assert {job.target for job in service.ports.download_jobs.started.values()} == {
        "line-press",
        "all",
    }
    for group in ("ward", "nothing", "globex--ward", "*"):
        assert service.call("POST", URL, json={"group": group, "artifact": FILE}).status_code == 404


def test_a_group_reaches_its_members_of_that_moment(service: ServiceUnderTest) -> None:
    """A job for each member by name, those of groups within too; `all` is the thing group."""
    service.ports.devices.add(Device(tenant="acme", id="cell-1", groups=("cell-4",)))
    for group in ("line-press", "zone-hall-1", "all"):
        service.call("POST", URL, json={"group": group, "artifact": FILE})
    assert [job.members for job in service.ports.download_jobs.started.values()] == [
        ("press-01", "press-02", "press-03"),
        ("cell-1",),
        (),
    ]


def test_a_group_that_no_job_can_serve_is_told(service: ServiceUnderTest) -> None:
    """Nobody in it, or more than one job has targets for: 409, and what would be right."""
    empty = service.call("POST", URL, json={"group": "line-pump", "artifact": FILE})
    assert empty.status_code == 409
    assert "has no device yet" in empty.json()["detail"]
    for number in range(101):
        service.ports.devices.add(Device(tenant="acme", id=f"pump-{number}", groups=("line-pump",)))
    for artifact in (FILE, FIRMWARE):
        large = service.call("POST", URL, json={"group": "line-pump", "artifact": artifact})
        assert large.status_code == 409
        assert "more than 100 devices" in large.json()["detail"]
        assert "to smaller groups, or to `all`" in large.json()["detail"]
    assert service.ports.download_jobs.started == {}


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
    assert service.ports.download_jobs.started == {}


def test_another_tenants_file_is_not_found(service: ServiceUnderTest) -> None:
    """Only the tenant's own bucket is looked into."""
    assert (
        service.call("POST", URL, json={"device": "press-01", "artifact": "secret.bin"}).status_code
        == 404
    )


def test_a_job_that_is_not_made_is_visibly_failed(service: ServiceUnderTest) -> None:
    """502 with the download's place, where its state is `failed`."""
    service.ports.download_jobs.available = False
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert answer.status_code == 502
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["failure"]) == ("failed", "its job could not be created")


def test_a_failure_that_cannot_be_recorded_is_told_all_the_same(service: ServiceUnderTest) -> None:
    """Jobs and table both away: still 502 with the place, where nothing claims that it started."""
    service.ports.download_jobs.available = False
    service.ports.download_records.once.can_settle = False
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    assert answer.json()["type"] == "urn:cedarfleet:problem:download-not-started"
    assert service.call("GET", answer.headers["Location"]).json()["state"] == "created"


def test_a_job_that_was_made_after_all_tells_the_truth(service: ServiceUnderTest) -> None:
    """If the answer was lost but the job exists, the job's state is shown, not our own `failed`."""
    service.ports.download_jobs.available = False
    answer = service.call("POST", URL, json={"device": "press-01", "artifact": FILE})
    record = service.ports.download_records.once.records["acme", answer.json()["download"]]
    service.ports.download_jobs.started[record.job_id] = record
    seen = service.call("GET", answer.headers["Location"]).json()
    assert (seen["state"], seen["failure"]) == ("queued", None)


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
    [job] = service.ports.download_jobs.started.values()
    assert job.members == ("press-01", "press-02", "press-03"), (
        "whoever joins later was not decided on"
    )
    device = service.device("press-03")
    day_shift = replace(device, attributes={**device.attributes, "window": "09:00-10:00"})
    service.ports.devices.add(day_shift)
    answer = service.client.post(URL, headers=headers, json=body)
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["firmware-to-groups-member-by-member"]


@pytest.mark.parametrize(("members", "status"), [(100, 202), (101, 403)])
def test_firmware_reaches_a_group_of_at_most_100(
    service: ServiceUnderTest, members: int, status: int
) -> None:
    """A job has no more targets; a larger group is refused as if a member had been."""
    service.ports.clock.now = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    press = service.device("press-01")
    for number in range(members):
        service.ports.devices.add(replace(press, id=f"many-{number}", groups=("line-pump",)))
    token = service.acme.access_token("rollout", "fleet/update", exp=4_000_000_000)
    headers = {"Authorization": f"Bearer {token}"}
    body = {"group": "line-pump", "artifact": FIRMWARE}
    assert service.client.post(URL, headers=headers, json=body).status_code == status
    assert len(service.ports.download_jobs.started) == (status == 202)


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
    assert len(service.ports.download_jobs.started) == 1
    other = service.call(
        "POST", URL, json={"device": "press-02", "artifact": FILE}, headers=headers
    )
    assert other.status_code == 422


def test_a_download_is_found_in_its_tenant_only(service: ServiceUnderTest) -> None:
    """Another tenant's manager gets 404."""
    made = service.call("POST", URL, json={"device": "press-01", "artifact": FILE}).json()
    headers = {"Authorization": f"Bearer {service.globex.id_token('boss', ['managers'])}"}
    assert service.client.get(made["url"], headers=headers).status_code == 404
