"""A device of which no policy can decide can be stopped, read and repaired all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from litestar.testing import TestClient

from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.device_rows import DeviceRows
from service.domain.devices import Device
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings
from tests.service.conftest import COMMANDS, GROUPS

if TYPE_CHECKING:
    import httpx

    from service.adapters.memory.authorizer import CedarAuthorizer
    from tests.service.conftest import ServiceUnderTest

PRESS: Final = "/v1/devices/press-02"
STOP: Final = {"name": "stop"}


@pytest.fixture(scope="module")
def listing_acme() -> MemoryUserPool:
    """A tenant whose file lists its kinds and regions."""
    lists = {"kinds": frozenset({"press", "pump"}), "regions": frozenset({"eu-central"})}
    return MemoryUserPool("acme", commands=COMMANDS, groups=GROUPS, lists=lists)


@pytest.fixture
def broken(service: ServiceUnderTest) -> Device:
    """A device in the registry whose window nobody can read."""
    device = service.device("press-02").with_attributes({"window": "always"})
    service.ports.devices.add(device)
    return device


@pytest.mark.usefixtures("broken")
def test_who_may_stop_every_device_stops_it(service: ServiceUnderTest) -> None:
    """The manager does, and the audit names the device; whoever may not is refused as before."""
    sent = service.call("POST", f"{PRESS}/commands", json=STOP)
    assert sent.status_code == 202, sent.text
    assert [message.device for message in service.ports.broker.published] == ["press-02"]
    assert [(one.action, one.resource) for one in service.ports.audit.trail] == [
        ("StopDevice", 'Fleet::Device::"press-02"')
    ]
    for group in ("operators", "technicians", "it-staff"):
        answer = service.call("POST", f"{PRESS}/commands", as_=group, json=STOP)
        assert answer.status_code == 409, group
        assert "`window`" in answer.json()["detail"]


def test_what_can_be_read_still_counts(service: ServiceUnderTest, broken: Device) -> None:
    """An emergency responder stops critical machines: of this one nobody doubts that it is one."""
    emergency = STOP | {"emergency": {"reason": "smoke"}}
    path = f"{PRESS}/commands"
    assert service.call("POST", path, as_="emergency-responders", json=emergency).status_code == 202
    service.ports.devices.add(broken.with_attributes({"criticality": "extreme"}))
    # Now it may be one that is not critical.
    refused = service.call("POST", path, as_="emergency-responders", json=emergency)
    assert refused.status_code == 409


@pytest.mark.usefixtures("broken")
def test_only_a_stop_goes_past_what_cannot_be_read(service: ServiceUnderTest) -> None:
    """Anything else moves a machine of which nobody knows what it is."""
    for name in ("reboot", "set-parameters", "run-diagnostics"):
        answer = service.call("POST", f"{PRESS}/commands", json={"name": name})
        assert answer.status_code == 409, name


def test_tags_that_cannot_be_read_are_repaired(service: ServiceUnderTest) -> None:
    """By whoever may set tags of the device as it is afterwards."""
    service.ports.devices.add(
        Device(tenant="acme", id="press-02", tags={"building": "", "customer": "x"})
    )
    assert service.call("GET", PRESS).json()["unreadable"]
    assert service.call("POST", f"{PRESS}/commands", json=STOP).status_code == 202
    other = service.call("PATCH", f"{PRESS}/tags", json={"tags": {"customer": "y"}})
    assert other.status_code == 409
    mended = service.call("PATCH", f"{PRESS}/tags", json={"tags": {"building": None}})
    assert mended.status_code == 200, mended.text
    assert mended.json()["unreadable"] is None


def test_a_row_that_cannot_be_read_is_written_anew(
    authorizer: CedarAuthorizer, listing_acme: MemoryUserPool
) -> None:
    """The device is stopped and watched; who may configure every device repairs it, nobody else."""
    ports = MemoryPorts.around(authorizer)
    listing_acme.join(ports)
    rows = DeviceRows(unreadable="no `groups`", born={"thing-1": 1})
    ports.devices.rows["acme", "press-02"] = rows
    app = create_app(Operations(ports, TokenSettings()), HttpSettings(body_max_bytes=4096))
    with TestClient(app) as client:

        def call(method: str, path: str, group: str = "managers", **body: object) -> httpx.Response:
            token = listing_acme.id_token(group, [group])
            headers = {"Authorization": f"Bearer {token}"}
            json = body or None
            return client.request(method, path, headers=headers, json=json)

        for group in ("operators", "emergency-responders"):
            assert call("POST", f"{PRESS}/commands", group, **STOP).status_code == 409
            assert call("PATCH", PRESS, group, criticality="low").status_code == 409
        sent = call("POST", f"{PRESS}/commands", **STOP)
        assert sent.status_code == 202, sent.text
        assert call("GET", sent.json()["url"]).json()["state"] == "published"
        mended = call("PATCH", PRESS, criticality="high")
        assert mended.status_code == 200, mended.text
        shown = call("GET", PRESS).json()
    assert (shown["unreadable"], shown["attributes"]) == (None, {"criticality": "high"})
