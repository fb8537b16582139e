"""What can be changed has an entity tag, and who names it in `If-Match` changes nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from service.adapters.memory.devices import MemoryDevices
from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.devices import Device
from service.domain.preconditions import entity_tag
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.domain.tenants import Tenant
    from tests.service.conftest import ServiceUnderTest

PATH = "/v1/devices/press-01"
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("PATCH", PATH, {"criticality": "low"}),
    ("PUT", f"{PATH}/groups", {"groups": ["line-pump"]}),
    ("PATCH", f"{PATH}/tags", {"tags": {"building": "7"}}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_change_names_the_state_it_knows(
    service: ServiceUnderTest, method: str, path: str, body: dict[str, Any]
) -> None:
    """Done once, with a new tag; done with the former one it is 412, which has the tag of now."""
    before = service.call("GET", PATH).headers["ETag"]
    matching = {"If-Match": before}
    first = service.call(method, path, json=body, headers=matching)
    assert first.status_code == 200, first.text
    assert first.headers["ETag"] != before
    kept = service.device("press-01")
    second = service.call(method, path, json=body, headers=matching)
    assert (second.status_code, second.headers["ETag"]) == (412, first.headers["ETag"])
    assert second.json()["type"] == "urn:cedarfleet:problem:precondition-failed"
    assert service.device("press-01") == kept
    several = {"If-Match": f"{before} , {first.headers['ETag']}"}
    assert service.call(method, path, json=body, headers=several).status_code == 200
    for free in ({"If-Match": "*"}, {}):
        assert service.call(method, path, json=body, headers=free).status_code == 200


@pytest.mark.parametrize("text", ["1", 'W/"1"', '"1', '"1" "2"', '"1",', ",", '"a b"', '*, "1"'])
def test_an_odd_tag_is_refused_by_name(service: ServiceUnderTest, text: str) -> None:
    """A weak one too: nothing is changed on a condition that nobody understands."""
    kept = service.device("press-01")
    answer = service.call("PATCH", PATH, json={"kind": "pump"}, headers={"If-Match": text})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "If-Match"
    assert service.device("press-01") == kept


def test_who_may_not_change_it_is_told_no_tag(service: ServiceUnderTest) -> None:
    """Refused as without a condition, whether it would hold or not."""
    headers = {"If-Match": '"never"'}
    answer = service.call("PATCH", PATH, as_="operators", json={"kind": "pump"}, headers=headers)
    assert (answer.status_code, answer.headers.get("ETag")) == (403, None)


def test_a_tag_is_of_one_thing_in_one_state(service: ServiceUnderTest) -> None:
    """Two devices never share one, and coming or going changes none."""
    devices = (service.call("GET", f"/v1/devices/press-0{number}") for number in (1, 2, 3))
    assert len({answer.headers["ETag"] for answer in devices}) == 3
    one = Device(tenant="acme", id="press-01", origin="thing-1", version=3)
    assert one.tag == Device(tenant="acme", id="press-01", origin="thing-1", version=3).tag
    assert one.tag != Device(tenant="acme", id="press-01", origin="thing-2", version=3).tag
    assert entity_tag("a", 1) != entity_tag("a", 2)


class Together(MemoryDevices):
    """Devices of which nobody is told before as many have asked as shall."""

    gate: asyncio.Barrier | None = None

    async def find(self, tenant: Tenant, device_id: str) -> Device | None:
        """As the twin, but all at once; later questions wait for nobody."""
        found = await super().find(tenant, device_id)
        if self.gate is not None:
            gate = self.gate
            await gate.wait()
            self.gate = None
        return found


@pytest.mark.parametrize(("conditional", "lost"), [(True, 412), (False, 409)])
def test_of_two_changes_at_once_one_wins(
    service: ServiceUnderTest, authorizer: CedarAuthorizer, *, conditional: bool, lost: int
) -> None:
    """Both read the same state and are allowed; the second finds another, and has its tag."""
    devices = Together()
    ports = MemoryPorts.around(authorizer, devices=devices)
    service.acme.join(ports)
    devices.add(Device(tenant="acme", id="press-01"))
    service.app.state.operations = Operations(ports, TokenSettings())
    known = devices.known("acme", "press-01")
    assert known is not None
    headers = {"Authorization": f"Bearer {service.acme.id_token('managers', ['managers'])}"}
    if conditional:
        headers["If-Match"] = f'"{known.tag}"'

    async def both() -> list[httpx.Response]:
        devices.gate = asyncio.Barrier(2)
        transport = httpx.ASGITransport(cast("Any", service.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            changes = [{"kind": "press"}, {"kind": "pump"}]
            asked = (client.patch(PATH, json=change, headers=headers) for change in changes)
            return await asyncio.gather(*asked)

    answers = asyncio.run(both())
    assert Counter(answer.status_code for answer in answers) == {200: 1, lost: 1}
    won = next(answer for answer in answers if answer.status_code == 200)
    other = next(answer for answer in answers if answer.status_code == lost)
    kept = devices.known("acme", "press-01")
    assert kept is not None
    assert (dict(kept.attributes), kept.version) == (won.json()["attributes"], known.version + 1)
    if conditional:
        assert other.headers["ETag"] == won.headers["ETag"] == f'"{kept.tag}"'
