"""Groups made at run time: nested, listed, filled, emptied, deleted, and decided by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.groups import MemoryGroups
from service.adapters.memory.memory_ports import MemoryPorts
from service.api.app import create_app
from service.cedar.policy_set import PolicySet
from service.domain.devices import Device
from service.domain.group_records import MAX_DEPTH, MAX_GROUPS, GroupRecord, GroupState
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings
from tests.service.api.made_groups import change, make, problem
from tests.service.conftest import POLICIES, ServiceUnderTest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.tenants import Tenant


def test_a_manager_makes_a_group_in_a_line_of_the_file(service: ServiceUnderTest) -> None:
    """Answered with its place and tag; listed among those of the file, each with its source."""
    body = {"id": "cell-9", "description": "behind the gate", "parents": ["zone-hall-1"]}
    made = service.call("POST", "/v1/groups", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/groups/cell-9")
    read = service.call("GET", "/v1/groups/cell-9")
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])
    listed = service.call("GET", "/v1/groups", as_="operators").json()
    assert listed["cursor"] is None
    assert [(one["id"], one["source"], one["parents"]) for one in listed["groups"]] == [
        ("cell-4", "file", ["zone-hall-1"]),
        ("cell-9", "api", ["zone-hall-1"]),
        ("line-press", "file", []),
        ("line-pump", "file", []),
        ("zone-hall-1", "file", []),
    ]
    of_file = service.call("GET", "/v1/groups/cell-4")
    assert (of_file.json()["created_by"], of_file.headers.get("ETag")) == (None, None)
    assert service.call("GET", "/v1/groups/ward").status_code == 404


def test_pages_of_groups_follow_each_other(service: ServiceUnderTest) -> None:
    """Groups of both kinds, each once, whatever the size of a page."""
    for number in range(4):
        assert make(service, f"cell-{number}") == 201
    assert service.call("DELETE", "/v1/groups/cell-2").status_code == 200
    for limit in (1, 2, 3, 7, 100):
        seen: list[str] = []
        cursor = None
        while True:
            asked = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = service.call("GET", "/v1/groups", params=asked).json()
            seen += [one["id"] for one in page["groups"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        lines = ["line-press", "line-pump", "zone-hall-1"]
        assert seen == ["cell-0", "cell-1", "cell-3", "cell-4", *lines]
    assert service.call("GET", "/v1/groups", params={"cursor": "a/b"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"id": "all"}, "id", "and not `all`"),
        ({"id": "a b"}, "id", "letters, digits"),
        ({"id": "x", "parents": ["hall-7"]}, "parents", "the tenant has no group `hall-7`"),
        ({"id": "x", "parents": ["x"]}, "parents", "the tenant has no group `x`"),
        ({"id": "x", "parents": ["all"]}, "parents", "every group is in it"),
        ({"id": "x", "parents": ["cell-4", "cell-4"]}, "parents", "stands twice"),
        ({"id": "x", "description": "a\nb"}, "description", "printable"),
    ],
)
def test_a_group_of_another_form_is_refused(
    service: ServiceUnderTest, body: dict[str, Any], field: str, words: str
) -> None:
    """Named, with what would be right; nobody is asked and nothing is made."""
    answer = service.call("POST", "/v1/groups", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert words in problem(answer)
    assert (service.ports.groups.rows, service.ports.audit.trail) == ({}, [])


def test_groups_lie_in_each_other_up_to_a_bound(service: ServiceUnderTest) -> None:
    """And what is above a group that was made stays, so none ever lies in itself."""
    assert make(service, "level-1", "cell-4") == 201
    # Two of them are of the file: cell-4 lies in zone-hall-1.
    for level in range(2, MAX_DEPTH - 1):
        assert make(service, f"level-{level}", f"level-{level - 1}") == 201
    last = {"id": "too-deep", "parents": [f"level-{MAX_DEPTH - 2}"]}
    refused = service.call("POST", "/v1/groups", json=last)
    assert (refused.status_code, "at most 10 may be" in problem(refused)) == (400, True)
    moved = service.call("PATCH", "/v1/groups/level-1", json={"parents": ["level-3"]})
    assert moved.status_code == 400
    assert change(service, f"level-{MAX_DEPTH - 2}", put_in=["press-01"]).status_code == 200
    for group in ("level-1", "cell-4", "zone-hall-1"):
        found = service.call("GET", "/v1/devices", params={"group": group}).json()["devices"]
        assert [one["id"] for one in found] == ["press-01"], group


def test_a_tenant_makes_a_bounded_number_of_groups(service: ServiceUnderTest) -> None:
    """Deleted ones count: their ids stay taken."""
    tenant = service.acme.tenant
    for number in range(MAX_GROUPS):
        service.ports.groups.rows[tenant.id, f"g{number}"] = record(f"g{number}")
    refused = service.call("POST", "/v1/groups", json={"id": "one-more"})
    assert (refused.status_code, "1000 groups" in problem(refused)) == (409, True)


def record(group: str, *parents: str, state: GroupState = GroupState.ACTIVE) -> GroupRecord:
    """A group of acme as it is stored."""
    return GroupRecord(
        tenant="acme",
        id=group,
        description="",
        parents=parents,
        created_by="test",
        created_at=0,
        changed_at=0,
        state=state,
        version=1,
    )


def test_only_an_empty_group_is_deleted_and_for_good(service: ServiceUnderTest) -> None:
    """What is in it is named; its id is given to nobody else, and counts for nothing."""
    assert (make(service, "hall-2"), make(service, "cell-9", "hall-2")) == (201, 201)
    assert change(service, "cell-9", put_in=["press-01"]).status_code == 200
    for group, words in (("hall-2", "the group `cell-9`"), ("cell-9", "the device `press-01`")):
        refused = service.call("DELETE", f"/v1/groups/{group}")
        assert (refused.status_code, words in problem(refused)) == (409, True)
        assert service.call("GET", f"/v1/groups/{group}").status_code == 200
    assert change(service, "cell-9", take_out=["press-01"]).status_code == 200
    assert service.call("DELETE", "/v1/groups/cell-9").json()["id"] == "cell-9"
    assert service.call("DELETE", "/v1/groups/hall-2").status_code == 200
    for method in ("GET", "DELETE"):
        assert service.call(method, "/v1/groups/cell-9").status_code == 404
    again = service.call("POST", "/v1/groups", json={"id": "cell-9"})
    assert (again.status_code, "given to one group for good" in problem(again)) == (409, True)
    assert change(service, "cell-9", put_in=["press-01"]).status_code == 404


class Overtaken(MemoryGroups):
    """Groups of which one is made or marked by somebody else right after a row was put."""

    meanwhile: GroupRecord | None = None

    async def put(self, tenant: Tenant, record: GroupRecord) -> GroupRecord | None:
        """As the twin, and then somebody else's row once."""
        stored = await super().put(tenant, record)
        if self.meanwhile is not None:
            self.rows[tenant.id, self.meanwhile.id] = self.meanwhile
            self.meanwhile = None
        return stored


@pytest.fixture
def overtaken(service: ServiceUnderTest) -> Overtaken:
    """Groups of the service that somebody else changes too; there is one, `hall-2`."""
    groups = Overtaken(rows={("acme", "hall-2"): record("hall-2")})
    service.ports.devices.groups = groups
    service.app.state.operations = Operations(
        replace(service.ports, groups=groups), TokenSettings()
    )
    return groups


def test_no_group_is_made_in_one_that_is_being_deleted(
    service: ServiceUnderTest, overtaken: Overtaken
) -> None:
    """Marked right after the new one was stored: that one is taken back."""
    overtaken.meanwhile = record("hall-2", state=GroupState.CLOSING)
    assert make(service, "cell-9", "hall-2") == 409
    assert overtaken.rows["acme", "cell-9"].state is GroupState.DELETED
    assert service.call("GET", "/v1/groups/cell-9").status_code == 404


def test_no_group_is_deleted_in_which_one_was_made(
    service: ServiceUnderTest, overtaken: Overtaken
) -> None:
    """Made right after the mark: the group goes on as it was."""
    overtaken.meanwhile = record("cell-9", "hall-2")
    refused = service.call("DELETE", "/v1/groups/hall-2")
    assert (refused.status_code, "the group `cell-9`" in problem(refused)) == (409, True)
    assert overtaken.rows["acme", "hall-2"].state is GroupState.ACTIVE
    assert make(service, "cell-10", "hall-2") == 201


def test_a_delete_that_was_cut_off_is_made_again(
    service: ServiceUnderTest, overtaken: Overtaken
) -> None:
    """A group that was marked and left so is a group still, and can be deleted."""
    overtaken.rows["acme", "hall-2"] = record("hall-2", state=GroupState.CLOSING)
    assert service.call("GET", "/v1/groups/hall-2").status_code == 200
    assert make(service, "cell-9", "hall-2") == 409
    assert service.call("DELETE", "/v1/groups/hall-2").status_code == 200


def test_what_a_group_is_changes_under_its_tag(service: ServiceUnderTest) -> None:
    """Of two who read the same, the second is refused, and has the tag of now."""
    made = service.call("POST", "/v1/groups", json={"id": "cell-9"})
    path, matching = "/v1/groups/cell-9", {"If-Match": made.headers["ETag"]}
    first = service.call("PATCH", path, json={"description": "one"}, headers=matching)
    assert (first.status_code, first.json()["description"]) == (200, "one")
    for method, body in (("PATCH", {"description": "two"}), ("DELETE", None)):
        second = service.call(method, path, json=body, headers=matching)
        assert (second.status_code, second.headers["ETag"]) == (412, first.headers["ETag"])
    assert service.call("GET", path).json()["description"] == "one"


def test_groups_of_the_file_are_changed_by_its_stack_alone(service: ServiceUnderTest) -> None:
    """They are filled like all others, and neither made anew, described nor deleted."""
    assert make(service, "cell-4") == 409
    for method, body in (("PATCH", {"description": "x"}), ("DELETE", None)):
        refused = service.call(method, "/v1/groups/cell-4", json=body)
        assert (refused.status_code, "the tenant's file" in problem(refused)) == (409, True)
    assert change(service, "cell-4", put_in=["press-01"]).status_code == 200
    assert service.device("press-01").groups == ("cell-4", "line-press")


HALL_2 = """
@id("hall-masters")
permit (
  principal in Fleet::Group::"hall-masters",
  action in [Fleet::Action::"View", Fleet::Action::"Administer"],
  resource in Fleet::DeviceGroup::"hall-2"
);
"""
EVERYTHING = """
@id("managers")
permit (principal in Fleet::Group::"managers", action, resource);
"""


@pytest.fixture
def hall_2(pools: tuple[MemoryUserPool, MemoryUserPool]) -> Iterator[ServiceUnderTest]:
    """A tenant whose policies give masters what lies in `hall-2`, which its file does not know."""
    own = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(),
        static={"hall-masters": HALL_2, "managers": EVERYTHING},
        templates={},
        links=(),
    )
    ports = MemoryPorts.around(CedarAuthorizer(POLICIES, {"acme": own}))
    for pool in pools:
        pool.join(ports)
    for number in (1, 2):
        ports.devices.add(Device(tenant="acme", id=f"press-0{number}", groups=("line-press",)))
    made = create_app(Operations(ports, TokenSettings()), HttpSettings(body_max_bytes=64 * 1024))
    with TestClient(made, raise_server_exceptions=False) as client:
        yield ServiceUnderTest(ports=ports, acme=pools[0], globex=pools[1], app=made, client=client)


def seen(service: ServiceUnderTest, device: str) -> int:
    """How a master of hall 2 is answered who looks at a device."""
    return service.call("GET", f"/v1/devices/{device}", as_="hall-masters").status_code


def test_a_policy_sees_a_group_above_a_device_at_once(hall_2: ServiceUnderTest) -> None:
    """Also by way of another, as soon as the device is put in, and no longer than it is."""
    assert make(hall_2, "hall-2") == 201
    assert make(hall_2, "cell-9", "hall-2", as_="hall-masters") == 201
    assert seen(hall_2, "press-01") == 403
    assert change(hall_2, "cell-9", put_in=["press-01"]).status_code == 200
    assert (seen(hall_2, "press-01"), seen(hall_2, "press-02")) == (200, 403)
    assert change(hall_2, "cell-9", take_out=["press-01"]).status_code == 200
    assert seen(hall_2, "press-01") == 403


def test_nobody_gains_a_device_by_a_group_of_theirs(hall_2: ServiceUnderTest) -> None:
    """Who administers a hall takes no device into it, hangs no group elsewhere, and moves none."""
    make(hall_2, "hall-2")
    make(hall_2, "cell-9", "hall-2")
    assert change(hall_2, "cell-9", put_in=["press-01"]).status_code == 200
    path = "/v1/groups/cell-9/members"
    rows = {"put_in": ["press-02"], "take_out": ["press-01"]}
    refused = hall_2.call("POST", path, as_="hall-masters", json=rows)
    assert refused.status_code == 200, "press-01 as it is is theirs, and would not be"
    kinds = [(one["status"], one["type"]) for one in refused.json()["results"]]
    assert kinds == [("refused", "urn:cedarfleet:problem:permission-denied")] * 2
    assert hall_2.device("press-02").groups == ("line-press",)
    assert hall_2.device("press-01").groups == ("cell-9", "line-press")
    for parents in ((), ("line-press",), ("hall-2", "line-press")):
        assert make(hall_2, "mine", *parents, as_="hall-masters") == 403
    assert make(hall_2, "mine", "hall-2", as_="hall-masters") == 201


def test_what_the_file_declares_counts_before_what_was_made(service: ServiceUnderTest) -> None:
    """An id of both is the file's, and a group above that is declared no more is none."""
    tenant = service.acme.tenant
    assert make(service, "cell-9", "zone-hall-1") == 201
    assert change(service, "cell-9", put_in=["press-01"]).status_code == 200

    def serve(**groups: Sequence[str]) -> None:
        service.ports.tenants.rows[tenant.issuer] = replace(tenant, groups=groups)

    def found(group: str) -> list[str]:
        answer = service.call("GET", "/v1/devices", params={"group": group})
        return [one["id"] for one in answer.json().get("devices", [])]

    assert found("zone-hall-1") == ["press-01"]
    try:
        serve(**{"cell-9": (), "zone-hall-1": ()})
        assert (found("cell-9"), found("zone-hall-1")) == (["press-01"], [])
        source = service.call("GET", "/v1/groups/cell-9").json()["source"]
        assert source == "file"
        serve(**{"line-press": ()})
        assert found("cell-9") == ["press-01"]
        assert service.device("press-01").groups == ("cell-9", "line-press")
    finally:
        serve(**dict(tenant.groups))


def test_a_key_makes_one_group(service: ServiceUnderTest) -> None:
    """Its repetition is answered alike, another request by it is told, and others are 409."""
    body = {"id": "cell-7", "parents": ["line-press"]}
    headers = {"Idempotency-Key": "cell-1"}
    first, again = (service.call("POST", "/v1/groups", json=body, headers=headers) for _ in "12")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json(), first.headers["ETag"]) == (again.json(), again.headers["ETag"])
    other = body | {"description": "else"}
    assert service.call("POST", "/v1/groups", json=other, headers=headers).status_code == 422
    assert service.call("POST", "/v1/groups", json=body).status_code == 409
    key = {"Idempotency-Key": "cell-2"}
    assert service.call("POST", "/v1/groups", json=body, headers=key).status_code == 409
    service.call("DELETE", "/v1/groups/cell-7")
    assert service.call("POST", "/v1/groups", json=body, headers=headers).status_code == 409
