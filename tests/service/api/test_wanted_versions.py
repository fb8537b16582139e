"""Wanted versions over HTTP: who may want what for which group, and what stands then."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from service.domain.devices import Device, ReportedVersions
from service.domain.files import FileState, FileVersion, Package
from service.domain.wanted_versions import Running, WishState

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

FILE = "01JD0000000000000000000001"
PACKAGE = "press-controller"
URL = f"/v1/groups/line-press/wanted-versions/{PACKAGE}"


def upload(service: ServiceUnderTest, **changes: Any) -> None:
    """Have version 2.0 of the package among the tenant's files."""
    plain = FileVersion(
        file_id=FILE,
        tenant="acme",
        name="apps/press-2.0.bin",
        size=20,
        sha256="ab" * 32,
        part_size=20,
        upload="u",
        created_by="somebody",
        created_at=0,
        changed_at=0,
        package=Package(name=PACKAGE, version="2.0"),
        state=FileState.AVAILABLE,
        etag='"e"',
        version="v",
        revision=1,
    )
    made = replace(plain, **changes)
    service.ports.file_records.once.records["acme", made.file_id] = made


def want(
    service: ServiceUnderTest,
    *,
    as_: str = "managers",
    url: str = URL,
    headers: dict[str, str] | None = None,
    **body: Any,
) -> httpx.Response:
    """Want the file for the presses."""
    asked = {"file": FILE, **body}
    return service.call("PUT", url, as_=as_, json=asked, headers=headers or {})


def test_a_wish_stands_and_the_worker_is_told(service: ServiceUnderTest) -> None:
    """It says version, owner, rate and window; set again it is the same."""
    upload(service)
    answer = want(service, devices_per_hour=60, window="22:00-04:00", utc_offset="+01:00")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["version"], said["state"], said["file"]) == ("2.0", "active", FILE)
    assert (said["window"], said["utc_offset"]) == ("22:00-04:00", "+01:00")
    assert said["created_by"] == service.ports.audit.trail[0].principal
    [waiting] = service.ports.work_queue.waiting
    assert "bring-version" in waiting.text
    again = want(service, devices_per_hour=60, window="22:00-04:00", utc_offset="+01:00")
    assert again.headers["ETag"] == answer.headers["ETag"]
    assert len(service.ports.work_queue.waiting) == 1, "nothing is new"
    [listed] = service.call("GET", URL.rpartition("/")[0]).json()["wanted_versions"]
    assert listed == said


def test_a_wish_shows_how_far_it_is(service: ServiceUnderTest) -> None:
    """Devices of the group by where they stand."""
    upload(service)
    want(service)
    told = Running(device="press-01", package=PACKAGE, version="2.0", at=1_000)
    asyncio.run(service.ports.running_versions.tell(service.acme.tenant, told))
    pinned = service.call("PUT", "/v1/devices/press-02/pins", json={"packages": [PACKAGE]})
    assert pinned.json()["pinned"] == [PACKAGE]
    seen = service.call("GET", URL).json()
    assert seen["counts"] == {"there": 1, "pinned": 1, "waiting": 1}


def test_it_is_changed_only_as_it_was_read(service: ServiceUnderTest) -> None:
    """`If-Match` of an older one: 412 with the tag of now; nothing is changed."""
    upload(service)
    upload(service, file_id=FILE[:-1] + "3", package=Package(name=PACKAGE, version="3.0"))
    first = want(service).headers["ETag"]
    second = want(service, file=FILE[:-1] + "3", headers={"If-Match": first})
    assert second.json()["version"] == "3.0"
    third = want(service, headers={"If-Match": first})
    assert (third.status_code, third.headers["ETag"]) == (412, second.headers["ETag"])
    gone = service.call("DELETE", URL, headers={"If-Match": first})
    assert gone.status_code == 412
    assert service.call("DELETE", URL).json()["version"] == "3.0"
    assert service.call("GET", URL).status_code == 404
    assert service.call("DELETE", URL).status_code == 404
    assert want(service, headers={"If-Match": first}).status_code == 404


def test_who_may_not_deliver_may_not_want(service: ServiceUnderTest) -> None:
    """Operators want nothing, and nobody learns of a file by asking."""
    upload(service)
    assert want(service, as_="operators").status_code == 403
    assert want(service, as_="operators", file="01JD0000000000000000000099").status_code == 403
    assert service.ports.wanted_versions.rows == {}
    want(service)
    assert service.call("DELETE", URL, as_="operators").status_code == 403
    wish = service.ports.wanted_versions.rows["acme", PACKAGE, "line-press"]
    assert wish.state is WishState.ACTIVE
    assert service.call("GET", URL, as_="operators").status_code == 200


def test_what_cannot_be_wanted_is_refused(service: ServiceUnderTest) -> None:
    """No such group or file, a file of another package, one that is not available, a bad window."""
    upload(service, state=FileState.VERIFYING)
    assert want(service).status_code == 409
    upload(service)
    other = "/v1/groups/line-press/wanted-versions"
    assert want(service, url=f"{other}/pump-controller").status_code == 400
    assert want(service, url=f"{other}/Not%20a%20name").status_code == 400
    assert want(service, url=URL.replace("line-press", "line-none")).status_code == 404
    assert want(service, file="01JD0000000000000000000099").status_code == 404
    assert want(service, window="25:00-26:00").status_code == 400
    assert want(service, devices_per_hour=0).status_code == 400
    assert service.ports.wanted_versions.rows == {}


def test_a_queue_that_does_not_answer_keeps_nothing(service: ServiceUnderTest) -> None:
    """Told before it stands: what the worker cannot be told of does not stand."""
    upload(service)
    service.ports.work_queue.available = False
    assert want(service).status_code == 503
    assert service.ports.wanted_versions.rows == {}


def test_pins_are_who_may_pin(service: ServiceUnderTest) -> None:
    """Operators do not; each name has its form and stands once; the audit shows the change."""
    url = "/v1/devices/press-01/pins"
    assert (
        service.call("PUT", url, as_="operators", json={"packages": [PACKAGE]}).status_code == 403
    )
    for wrong in (["No Name"], [PACKAGE, PACKAGE]):
        assert service.call("PUT", url, json={"packages": wrong}).status_code == 400
    tag = service.call("GET", "/v1/devices/press-01").headers["ETag"]
    assert service.call("PUT", url, json={"packages": [PACKAGE]}).status_code == 200
    late = service.call("PUT", url, json={"packages": []}, headers={"If-Match": tag})
    assert late.status_code == 412
    change = service.ports.audit.trail[-1].change
    assert change is not None
    assert (change.before, change.after) == ([PACKAGE], [])
    assert service.call("PUT", url, json={"packages": []}).json()["pinned"] == []


def test_versions_over_the_fleet(service: ServiceUnderTest) -> None:
    """How many devices run which, and which devices run one; what is gone does not count."""
    service.ports.devices.add(Device(tenant="acme", id="pump-01", groups=("line-pump",)))
    for device, package, version in (
        ("press-01", PACKAGE, "2.0"),
        ("press-02", PACKAGE, "2.0"),
        ("press-03", PACKAGE, "1.0"),
        ("pump-01", "pump-controller", "7"),
        ("press-99", PACKAGE, "2.0"),
    ):
        told = Running(device=device, package=package, version=version, at=1_000)
        asyncio.run(service.ports.running_versions.tell(service.acme.tenant, told))
    seen = service.call("GET", "/v1/versions").json()["versions"]
    assert [(one["package"], one["version"], one["devices"]) for one in seen] == [
        (PACKAGE, "1.0", 1),
        (PACKAGE, "2.0", 2),
        ("pump-controller", "7", 1),
    ]
    some = service.call("GET", "/v1/versions?package=pump-controller").json()["versions"]
    assert [one["version"] for one in some] == ["7"]
    first = service.call("GET", f"/v1/versions/{PACKAGE}?version=2.0&limit=1").json()
    assert [one["device"] for one in first["devices"]] == ["press-01"]
    rest = service.call(
        "GET", f"/v1/versions/{PACKAGE}?version=2.0&cursor={first['cursor']}"
    ).json()
    assert ([one["device"] for one in rest["devices"]], rest["cursor"]) == (["press-02"], None)


def test_what_devices_say_is_among_them(service: ServiceUnderTest) -> None:
    """Later than what was delivered, it counts; a package that nobody delivered is there too."""
    told = Running(device="press-01", package=PACKAGE, version="2.0", at=1_000)
    asyncio.run(service.ports.running_versions.tell(service.acme.tenant, told))
    packages = {PACKAGE: "1.9", "firmware": "7"}
    said = ReportedVersions(at=2_000, agent="1.0", packages=packages)
    service.ports.devices.says("acme", "press-01", said)
    seen = service.call("GET", "/v1/versions").json()["versions"]
    assert {one["package"]: one["version"] for one in seen} == packages
    [found] = service.call("GET", "/v1/versions/firmware").json()["devices"]
    assert (found["device"], found["version"]) == ("press-01", "7")


def test_a_reborn_device_runs_nothing_yet(service: ServiceUnderTest) -> None:
    """What an earlier thing of its name ran is not said of it."""
    told = Running(device="press-01", package=PACKAGE, version="2.0", at=1_000)
    asyncio.run(service.ports.running_versions.tell(service.acme.tenant, told))
    service.ports.devices.death("acme", "press-01", "thing-of-acme--press-01")
    service.ports.devices.birth("acme", "press-01", "thing-2", at=2_000)
    assert service.call("GET", f"/v1/versions/{PACKAGE}").status_code == 404


def test_a_wish_is_in_the_audit_under_its_id(service: ServiceUnderTest) -> None:
    """Both decisions on it name it, as do the ends of its batches."""
    upload(service)
    assert want(service).status_code == 200
    [wish] = [one.wish_id for one in service.ports.wanted_versions.rows.values()]
    decided = [one for one in service.ports.audit.trail if one.about == {"wish": wish}]
    assert [one.action for one in decided] == ["SetWantedVersion", "DownloadFile"]
