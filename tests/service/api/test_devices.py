"""Devices over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from service.adapters.memory.devices import MemoryDevices
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.devices import Device
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings

if TYPE_CHECKING:
    import httpx

    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.domain.tenants import Tenant
    from tests.service.conftest import ServiceUnderTest


@pytest.fixture(scope="module")
def acme_with_lists() -> MemoryUserPool:
    """The pool of a tenant whose file lists kinds and regions."""
    lists = {"kinds": frozenset({"press", "pump"}), "regions": frozenset({"eu-central"})}
    return MemoryUserPool("acme", lists=lists)


def test_a_person_learns_who_they_are(service: ServiceUnderTest) -> None:
    """``/me`` answers tenant, principal, groups and commands, from the token and the registry."""
    me = service.call("GET", "/v1/me", as_="operators").json()
    assert (me["tenant"], me["groups"], me["email"]) == (
        "acme",
        ["operators"],
        "operators@acme.test",
    )
    assert me["principal"].startswith("eu-central-1_acme|")
    assert me["commands"] == ["reboot", "run-diagnostics", "set-parameters", "stop"]


def test_operators_see_their_tenants_devices_only(service: ServiceUnderTest) -> None:
    """A list holds every device of the caller's tenant with connectivity, and no other."""
    answer = service.call("GET", "/v1/devices", as_="operators")
    assert answer.status_code == 200
    devices = answer.json()["devices"]
    assert [device["id"] for device in devices] == ["press-01", "press-02", "press-03"]
    assert devices[0]["connectivity"] == {
        "connected": True,
        "since": "2026-09-21T14:13:20Z",
        "disconnect_reason": None,
    }


def test_pages_follow_each_other_without_gap(service: ServiceUnderTest) -> None:
    """Following ``cursor`` visits each device once."""
    seen: list[str] = []
    cursor = None
    while True:
        page = service.call(
            "GET", "/v1/devices", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [device["id"] for device in page["devices"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == ["press-01", "press-02", "press-03"]


def test_a_device_of_another_tenant_is_as_unknown_as_none(
    service: ServiceUnderTest,
) -> None:
    """404 for both, and the documents differ in the asked name only."""
    foreign = service.call("GET", "/v1/devices/pump-01")
    unknown = service.call("GET", "/v1/devices/pump-99")
    assert foreign.status_code == unknown.status_code == 404

    def without_names(document: dict[str, object]) -> dict[str, object]:
        text = str(document["detail"]).replace("pump-01", "X").replace("pump-99", "X")
        return {**document, "request_id": "", "detail": text}

    assert without_names(foreign.json()) == without_names(unknown.json())
    assert "pump" not in str(service.ports.audit.trail)


def test_names_that_no_device_can_have_are_not_found(service: ServiceUnderTest) -> None:
    """Tenant prefixes, wildcards and escapes in the path reach no registry."""
    for name in (
        "globex--pump-01",
        "*",
        "press-01%20OR%20x",
        "..",
        "x" * 65,
        "%2e%2e%2fme",
        "press-01%00",
    ):
        assert service.call("GET", f"/v1/devices/{name}").status_code == 404, name


def test_a_manager_sets_and_removes_attributes(service: ServiceUnderTest) -> None:
    """What is given is set, ``null`` removes, the rest stays, and the change is audited."""
    changes = {"window": "20:00-23:30", "security_patch": None}
    answer = service.call("PATCH", "/v1/devices/press-01", json=changes)
    assert answer.status_code == 200
    attributes = answer.json()["attributes"]
    assert attributes["window"] == "20:00-23:30"
    assert attributes["kind"] == "press"
    assert "security_patch" not in attributes
    assert {record.action for record in service.ports.audit.trail} == {"ConfigureDevice"}


def test_attributes_are_checked_before_anything_is_asked(service: ServiceUnderTest) -> None:
    """A value that policies could not read is refused with its name and the right form."""
    wrong = {
        "criticality": "urgent",
        "utc_offset": "+25:00",
        "window": "22-04",
        "security_patch": "2026-13-01",
        "kind": "a b",
        "region": "",
    }
    for name, value in wrong.items():
        answer = service.call("PATCH", "/v1/devices/press-01", json={name: value})
        assert answer.status_code == 400, name
        assert answer.json()["errors"][0]["field"].endswith(name)
    assert service.call("PATCH", "/v1/devices/press-01", json={}).status_code == 400
    assert service.device("press-01").version == 1


@pytest.mark.parametrize("day", ["0026-10-01", "1999-12-31", "2099-01-01"])
def test_a_patch_date_that_cannot_be_is_refused(service: ServiceUnderTest, day: str) -> None:
    """A slip in the year would hold firmware back for good, or let a device count as patched."""
    answer = service.call("PATCH", "/v1/devices/press-01", json={"security_patch": day})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "security_patch"
    assert "from 2000-01-01 to " in answer.json()["errors"][0]["problem"]


@pytest.mark.parametrize(
    ("stored", "repair"),
    [
        ({"criticality": "extreme"}, {"criticality": "high"}),
        ({"security_patch": "26-10-01"}, {"security_patch": None}),
        ({"time_zone": "Mars/Crater", "utc_offset": "+01:00"}, {"time_zone": None}),
        ({"time_zone": "Europe/Berlin", "utc_offset": "+01:00"}, {"utc_offset": None}),
    ],
)
def test_an_unreadable_attribute_can_be_repaired(
    service: ServiceUnderTest, stored: dict[str, str], repair: dict[str, str | None]
) -> None:
    """By whoever may configure the device as it is afterwards; any other change stays refused."""
    path = "/v1/devices/press-02"
    broken = service.device("press-02").with_attributes(stored)
    service.ports.devices.add(broken)
    assert service.call("GET", path).json()["unreadable"]
    assert service.call("PATCH", path, json={"kind": "pump"}).status_code == 409
    assert service.call("PATCH", path, as_="operators", json=repair).status_code == 403
    mended = service.call("PATCH", path, json=repair)
    assert mended.status_code == 200, mended.text
    assert mended.json()["unreadable"] is None


def test_a_change_is_asked_of_the_device_as_it_would_be(service: ServiceUnderTest) -> None:
    """Nobody moves a device over the border of what they administer: both states are audited."""
    answer = service.call("PATCH", "/v1/devices/press-01", json={"kind": "pump", "window": None})
    assert answer.status_code == 200
    trail = service.ports.audit.trail
    assert [record.action for record in trail] == ["ConfigureDevice", "ConfigureDevice"]
    assert {record.subject for record in trail} == {"kind, window"}


def test_a_change_in_between_is_told(service: ServiceUnderTest) -> None:
    """A device that somebody else changed after it was decided on is not overwritten: 409."""
    devices = service.ports.devices

    class Meddled(MemoryDevices):
        async def change(self, tenant: Tenant, device: Device, *, by: str, now_ms: int) -> Device:
            meanwhile = self.known("acme", device.id)
            assert meanwhile is not None
            await super().change(tenant, meanwhile, by="somebody else", now_ms=now_ms)
            return await super().change(tenant, device, by=by, now_ms=now_ms)

    ports = replace(service.ports, devices=Meddled(rows=devices.rows))
    operations = Operations(ports, TokenSettings())
    with TestClient(create_app(operations, HttpSettings(body_max_bytes=4096))) as client:
        headers = {"Authorization": f"Bearer {service.acme.id_token('boss', ['managers'])}"}
        answer = client.patch("/v1/devices/press-01", json={"criticality": "low"}, headers=headers)
    assert answer.status_code == 409
    assert service.device("press-01").attributes["criticality"] == "high"


def test_an_operator_changes_no_attribute(service: ServiceUnderTest) -> None:
    """Configuring is refused, and the deciding policy is named."""
    answer = service.call(
        "PATCH", "/v1/devices/press-01", as_="operators", json={"criticality": "low"}
    )
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["operators-view-only"]
    assert service.device("press-01").attributes["criticality"] == "high"


def test_a_device_with_an_unreadable_attribute_is_refused(
    service: ServiceUnderTest,
) -> None:
    """No policy decides on a device without an attribute that it has but nobody can read."""
    service.ports.devices.add(Device(tenant="acme", id="press-01", attributes={"window": "always"}))
    path = "/v1/devices/press-01"
    for method, where, body in (
        ("PATCH", path, {"kind": "press"}),
        ("PUT", f"{path}/groups", {"groups": []}),
        ("PATCH", f"{path}/tags", {"tags": {"building": "7"}}),
        ("POST", f"{path}/commands", {"name": "reboot"}),
        ("POST", "/v1/downloads", {"artifact": "recipes/steel.json", "device": "press-01"}),
    ):
        answer = service.call(method, where, json=body)
        assert answer.status_code == 409, answer.text
        assert "`window`" in answer.json()["detail"]


def test_a_device_of_an_unreadable_row_is_shown_with_the_reason(
    service: ServiceUnderTest,
) -> None:
    """To who may list all devices; whoever is decided on by device is refused."""
    rows = service.ports.devices.rows
    rows["acme", "press-01"] = rows["acme", "press-01"]._replace(
        facts=None, unreadable="no `groups`"
    )
    words = "device `press-01` has unreadable facts: no `groups`"
    listed = service.call("GET", "/v1/devices").json()["devices"]
    assert [device["unreadable"] for device in listed] == [words, None, None]
    for group, status in (("operators", 200), ("technicians", 403), ("it-staff", 403)):
        answer = service.call("GET", "/v1/devices/press-01", as_=group)
        assert answer.status_code == status, answer.text
    shown = service.call("GET", "/v1/devices/press-01").json()
    assert (shown["unreadable"], shown["attributes"], shown["groups"]) == (words, {}, [])
    command = {"name": "reboot"}
    sent = service.call("POST", "/v1/devices/press-01/commands", json=command)
    assert (sent.status_code, sent.json()["detail"]) == (409, words)


def test_only_what_the_tenants_file_lists_is_set(
    authorizer: CedarAuthorizer, acme_with_lists: MemoryUserPool
) -> None:
    """A kind or region with a slip would be one that no policy speaks of: the list is told."""
    ports = MemoryPorts.around(authorizer)
    acme_with_lists.join(ports)
    ports.devices.add(Device(tenant="acme", id="press-01", attributes={"kind": "lathe"}))
    app = create_app(Operations(ports, TokenSettings()), HttpSettings(body_max_bytes=4096))
    headers = {"Authorization": f"Bearer {acme_with_lists.id_token('boss', ['managers'])}"}
    with TestClient(app) as client:

        def patch(**body: str | None) -> httpx.Response:
            return client.patch("/v1/devices/press-01", json=body, headers=headers)

        for name, value, words in (
            ("kind", "pres", "none of the `kinds` of the tenant's file: press, pump; did you mean"),
            ("region", "us-east", "none of the `regions` of the tenant's file: eu-central"),
        ):
            refused = patch(**{name: value})
            assert refused.status_code == 400
            (error,) = refused.json()["errors"]
            assert error["field"] == name
            assert words in error["problem"]
        # What stands there from before the list does not keep other facts from being set.
        assert patch(criticality="low").status_code == 200
        assert patch(kind="pump", region="eu-central").status_code == 200
