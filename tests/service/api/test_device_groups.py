"""Who is in which group is a fact that the API sets, decided on before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from litestar.testing import TestClient

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.cedar.policy_set import PolicySet
from service.domain.devices import Device
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.conftest import POLICIES

if TYPE_CHECKING:
    import httpx
    from litestar import Litestar

    from service.adapters.memory.user_pool import MemoryUserPool
    from tests.service.conftest import ServiceUnderTest

PATH = "/v1/devices/press-01/groups"


def put(service: ServiceUnderTest, *groups: str, as_: str = "managers") -> httpx.Response:
    """Ask for press-01 to be in these groups."""
    return service.call("PUT", PATH, as_=as_, json={"groups": groups})


def test_a_manager_puts_a_device_into_groups(service: ServiceUnderTest) -> None:
    """It is in these and in no others; the rest of its facts stays."""
    before = service.device("press-01")
    answer = put(service, "zone-hall-1", "line-pump")
    assert answer.status_code == 200, answer.text
    assert answer.json()["groups"] == ["line-pump", "zone-hall-1"]
    assert answer.json()["connectivity"]["connected"] is True
    after = service.device("press-01")
    assert (after.attributes, after.version) == (before.attributes, before.version + 1)
    assert put(service).json()["groups"] == []


def test_a_move_is_audited_before_it_is_made(service: ServiceUnderTest) -> None:
    """Once as the device was and once as it would be, with the groups that were asked for."""
    put(service, "zone-hall-1", "line-pump")
    trail = service.ports.audit.trail
    assert [(one.action, one.subject) for one in trail] == [
        ("SetDeviceGroups", "line-pump, zone-hall-1")
    ] * 2


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (["line-pres"], "it has: cell-4, line-press, line-pump, zone-hall-1; did you mean"),
        (["ward"], "the tenant has no group `ward`"),
        (["all"], "every device is in it"),
        (["line-pump", "line-pump"], "`line-pump` stands twice"),
    ],
)
def test_unknown_groups_are_refused(
    service: ServiceUnderTest, groups: list[str], words: str
) -> None:
    """With those that there are; nothing is asked and nothing changes."""
    answer = put(service, *groups)
    assert answer.status_code == 400
    assert words in answer.json()["errors"][0]["problem"]
    assert service.device("press-01").groups == ("line-press",)
    assert service.ports.audit.trail == []


def test_an_operator_moves_no_device(service: ServiceUnderTest) -> None:
    """Refused with the policy's name; a device of another tenant is not found."""
    answer = put(service, "line-pump", as_="operators")
    assert (answer.status_code, answer.json()["policies"]) == (403, ["operators-view-only"])
    assert service.device("press-01").groups == ("line-press",)
    foreign = service.call("PUT", "/v1/devices/pump-01/groups", json={"groups": []})
    assert foreign.status_code == 404


ONE_HALL = """
@id("hall-masters")
permit (
  principal in Fleet::Group::"hall-masters",
  action == Fleet::Action::"SetDeviceGroups",
  resource in Fleet::DeviceGroup::"zone-hall-1"
);
"""


@pytest.mark.parametrize(
    ("stands_in", "groups", "status"),
    [
        (("zone-hall-1",), ["zone-hall-1", "line-press"], 200),
        (("zone-hall-1",), ["cell-4"], 200),
        (("cell-4",), ["zone-hall-1"], 200),
        (("line-press",), ["zone-hall-1"], 403),
        (("zone-hall-1",), ["line-press"], 403),
        (("zone-hall-1",), [], 403),
    ],
)
def test_nobody_moves_a_device_over_their_border(
    app: Litestar,
    pools: tuple[MemoryUserPool, MemoryUserPool],
    stands_in: tuple[str, ...],
    groups: list[str],
    status: int,
) -> None:
    """A master of one hall moves devices within it, cells of it included, not in and not out."""
    own = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(),
        static={"hall-masters": ONE_HALL},
        templates={},
        links=(),
    )
    policies = CedarAuthorizer(POLICIES, {"acme": own})
    ports = MemoryPorts.around(policies)
    pools[0].join(ports)
    ports.devices.add(Device(tenant="acme", id="press-01", groups=stands_in))
    app.state.operations = Operations(ports, TokenSettings())
    headers = {"Authorization": f"Bearer {pools[0].id_token('master', ['hall-masters'])}"}
    with TestClient(app) as client:
        assert client.put(PATH, headers=headers, json={"groups": groups}).status_code == status
    kept = ports.devices.known("acme", "press-01")
    assert kept is not None
    assert (set(kept.groups) == set(groups)) is (status == 200)


def test_a_body_of_another_form_is_refused(service: ServiceUnderTest) -> None:
    """Groups are a list of names, and nothing else may stand beside them."""
    for body in ({}, {"groups": "line-press"}, {"groups": [1]}, {"groups": [], "kind": "x"}):
        assert service.call("PUT", PATH, json=body).status_code == 400
