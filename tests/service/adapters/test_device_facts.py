"""What is known of devices: the twin and DynamoDB answer the same, whatever happened before."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.cursors import seal
from service.adapters.aws.devices import DynamoDeviceFacts, rows_of
from service.adapters.memory.devices import MemoryDevices
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.device_filter import EVERY_DEVICE, MAX_LOOKED_AT, DeviceFilter
from service.domain.devices import Connectivity
from service.errors import ConflictError, InvalidRequestError
from service.settings import RecordSettings
from tests.seed import new_seed
from tests.service.adapters.aws.root_door import RootDoor
from tests.service.adapters.both_device_facts import Fleet, Told

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant

HOUR_MS = 3_600_000
NAMES = ("a", "a-1", "b")


@pytest.fixture(scope="module")
def dynamo(embedded_cloud: EmbeddedCloud) -> Told:
    """A table of its own; each test takes tenants of its own."""
    table, client = f"devices-{uuid.uuid4().hex}", embedded_cloud.client("dynamodb")
    keys = {"partition": "HASH", "sk": "RANGE"}
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    facts = DynamoDeviceFacts(
        aws=RootDoor(embedded_cloud),
        settings=RecordSettings(devices_table=table),
    )
    return Told(facts, client)


@pytest.fixture(scope="module")
def pool() -> MemoryUserPool:
    """A tenant to be renamed; making its key takes a while."""
    groups = {"hall-1": (), "line-press": ("hall-1",), "line-pump": ()}
    return MemoryUserPool("acme", groups=groups)


@pytest.fixture
def tenant(pool: MemoryUserPool) -> Tenant:
    """A tenant that has no device yet."""
    return replace(pool.tenant, id=f"t{uuid.uuid4().hex[:20]}")


@pytest.fixture(params=["memory", "dynamodb"])
def fleet(request: pytest.FixtureRequest, tenant: Tenant, dynamo: Told) -> Fleet:
    """Both, one after the other."""
    return Fleet(dynamo if request.param == "dynamodb" else MemoryDevices(), tenant)


def test_a_thing_that_was_made_is_a_device_without_facts(fleet: Fleet) -> None:
    """A provisioned device appears by itself, in no group and with no attribute."""
    assert fleet.find("press-07") is None
    fleet.birth("press-07", "thing-1")
    device = fleet.found("press-07")
    assert (device.groups, device.attributes, device.version) == ((), {}, 0)
    assert fleet.ids() == ["press-07"]


def test_a_change_is_seen_by_the_next_read(fleet: Fleet) -> None:
    """Attributes and groups are stored as they shall be, and the version is counted up."""
    fleet.birth("press-07", "thing-1")
    given = fleet.found("press-07").with_attributes({"kind": "press", "utc_offset": "+02:00"})
    stored = fleet.change(given.with_groups(["line-press"]))
    assert stored == fleet.found("press-07")
    assert (stored.version, stored.created_at) == (1, 7)
    assert stored.attributes == {"kind": "press", "utc_offset": "+02:00"}
    again = fleet.change(stored.with_attributes({"kind": None}), now_ms=9)
    assert (again.version, again.created_at, again.groups) == (2, 7, ("line-press",))
    assert again.attributes == {"utc_offset": "+02:00"}
    assert again == fleet.found("press-07")


def test_tags_are_facts_as_the_others(fleet: Fleet) -> None:
    """Set, changed and removed with the version counted up; the other facts stay."""
    fleet.birth("press-07", "thing-1")
    given = fleet.found("press-07").with_groups(["line-press"])
    stored = fleet.change(given.with_tags({"building": "7", "customer": "Müller", "old": None}))
    assert stored == fleet.found("press-07") == fleet.shown("press-07")
    assert stored.tags == {"building": "7", "customer": "Müller"}
    again = fleet.change(stored.with_tags({"building": "8", "customer": None}))
    assert fleet.found("press-07") == again
    assert (again.tags, again.groups, again.version) == ({"building": "8"}, ("line-press",), 2)
    fleet.birth("press-07", "thing-2", at=5)
    assert fleet.found("press-07").tags == {}


FACTS: dict[str, Any] = {
    "attributes": {"M": {"kind": {"S": "press"}}},
    "groups": {"L": [{"S": "line-press"}]},
    "version": {"N": "3"},
    "origin": {"S": "thing-1"},
    "created_at": {"N": "1"},
    "changed_at": {"N": "2"},
    "changed_by": {"S": "somebody"},
}


def test_a_row_from_before_there_were_tags_has_none(dynamo: Told, tenant: Tenant) -> None:
    """It is read with all else that it says, and changed as any other."""
    fleet = Fleet(dynamo, tenant)
    fleet.birth("press-07", "thing-1")
    dynamo.row(tenant.id, "press-07#facts", FACTS)
    device = fleet.found("press-07")
    assert (device.tags, device.groups, device.version) == ({}, ("line-press",), 3)
    assert fleet.change(device.with_tags({"building": "7"})) == fleet.found("press-07")


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        *((name, None, name) for name in FACTS),
        ("attributes", {"S": "press"}, "M"),
        ("attributes", {"M": {"kind": {"N": "1"}}}, "S"),
        ("attributes", {"NULL": True}, "M"),
        ("groups", {"SS": ["line-press"]}, "L"),
        ("groups", {"L": [{"L": []}]}, "S"),
        ("tags", {"L": []}, "M"),
        ("tags", {"M": {"building": {"BOOL": True}}}, "S"),
        ("version", {"N": "1.5"}, "1.5"),
        ("version", {"S": "3"}, "N"),
    ],
)
def test_a_row_of_another_form_is_told_and_decides_nothing(
    dynamo: Told, tenant: Tenant, member: str, value: dict[str, Any] | None, told: str
) -> None:
    """The device is there, with what is wrong; no decision is made on what could be read of it."""
    fleet = Fleet(dynamo, tenant)
    row = {name: held for name, held in {**FACTS, member: value}.items() if held is not None}
    dynamo.row(tenant.id, "press-07#facts", row)
    fleet.birth("press-06", "thing-0")
    for with_birth in (False, True):  # facts alone make a device, and these are nobody's
        if with_birth:
            fleet.birth("press-07", "thing-1")
        device = fleet.found("press-07")
        assert told in (device.unreadable or "")
        assert (device.attributes, device.groups, device.tags) == ({}, (), {})
        with pytest.raises(ConflictError, match="unreadable facts"):
            device.entities(tenant.groups)
        assert fleet.ids() == ["press-06", "press-07"]
        assert fleet.members("line-press") == []
        with pytest.raises(ConflictError):
            fleet.change(device.with_groups(["line-press"]))
    given = replace(device, unreadable=None).with_groups(["line-press"])
    mended = asyncio.run(fleet.facts.repair(tenant, given, by="somebody", now_ms=7))
    assert mended == fleet.found("press-07")
    # Numbers go on, so that whoever read the device before changes nothing by it.
    counted = {"N": "3"} if member != "version" else (value or {})
    assert mended.version == (4 if counted == {"N": "3"} else 1)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        asyncio.run(fleet.facts.repair(tenant, given, by="somebody", now_ms=8))
    fleet.death("press-07", "thing-1")
    assert fleet.ids() == ["press-06"]


@pytest.mark.parametrize(
    "tags", [{"7": "x"}, {"building": "7\n"}, {f"t{n}": "x" for n in range(51)}]
)
def test_tags_of_another_form_decide_nothing(fleet: Fleet, tags: dict[str, str]) -> None:
    """Whoever wrote them: a policy must not find a tag missing, or one that cannot be."""
    fleet.birth("press-07", "thing-1")
    device = fleet.change(fleet.found("press-07").with_tags(tags))
    with pytest.raises(ConflictError, match="unreadable tags"):
        device.entities(fleet.tenant.groups)


def test_of_two_changes_at_once_one_is_told(fleet: Fleet) -> None:
    """The second finds another version, also where nothing was stored before."""
    fleet.birth("press-07", "thing-1")
    for _ in range(2):
        read = fleet.found("press-07")
        fleet.change(read.with_attributes({"kind": "press"}))
        with pytest.raises(ConflictError, match="changed meanwhile"):
            fleet.change(read.with_attributes({"kind": "pump"}))
        assert fleet.found("press-07").attributes == {"kind": "press"}


def test_a_deleted_thing_is_no_device(fleet: Fleet) -> None:
    """Whichever event comes first, and however often; its facts stay and count for nothing."""
    fleet.birth("press-07", "thing-1")
    fleet.change(fleet.found("press-07").with_groups(["line-press"]))
    fleet.death("press-07", "thing-1")
    for _ in range(2):
        assert fleet.find("press-07") is None
        assert fleet.ids() == []
        assert fleet.members("line-press") == []
        fleet.birth("press-07", "thing-1")  # late, and once more


def test_a_new_thing_under_an_old_name_has_no_facts(fleet: Fleet) -> None:
    """Nobody inherits a group; the first change writes facts of the new thing's own."""
    fleet.birth("press-07", "thing-1", at=1)
    old = fleet.change(fleet.found("press-07").with_groups(["line-press"]))
    fleet.birth("press-07", "thing-2", at=5)  # that the first was deleted is told later
    device = fleet.found("press-07")
    assert (device.groups, device.origin) == ((), "thing-2")
    fleet.death("press-07", "thing-1")
    assert fleet.found("press-07") == device
    new = fleet.change(device.with_groups(["line-pump"]))
    assert (new.groups, new.created_at) == (("line-pump",), 7)
    with pytest.raises(ConflictError):
        fleet.change(old.with_groups(["line-press"]))
    assert fleet.found("press-07").groups == ("line-pump",)


def test_pages_are_cut_at_whole_devices(fleet: Fleet) -> None:
    """However many rows a device has, each is on one page, in the order of the ids."""
    names = ["a", "a-1", "a1", "a_1", "B", "press-07", "press-070"]
    for name in names:
        for generation in range(3):
            fleet.birth(name, f"thing-{generation}", at=generation)
            fleet.death(name, f"gone-{generation}")
        fleet.came(name, at=9, version=1)
    fleet.birth("away", "thing-1")
    fleet.death("away", "thing-1")
    for limit in (1, 2, 3, 50):
        assert fleet.ids(limit) == sorted(names)
    for limit, ends in ((len(names) - 1, False), (len(names), True)):
        page = asyncio.run(fleet.facts.page(fleet.tenant, limit=limit, cursor=None))
        assert (len(page.devices), page.cursor is None) == (limit, ends)


def test_only_a_row_of_facts_may_not_be_unreadable() -> None:
    """Other rows that no rule of ours writes are left out; without facts nobody may decide."""
    born = {"sk": {"S": "press-07#born#thing-1"}, "at": {"N": "1"}}
    odd = [{"sk": {"S": f"press-07#{kind}"}} for kind in ("born#thing-2", "connected", "else")]
    assert rows_of([born, *odd]) == rows_of([born])
    no_number = {"attributes": {"M": {}}, "groups": {"L": []}, "version": {"N": "x"}}
    for facts, words in (({}, "`attributes`"), (no_number, "`invalid literal for int()")):
        rows = rows_of([born, {"sk": {"S": "press-07#facts"}, **facts}])
        device = rows.device("acme", "press-07")
        assert rows.facts is None
        assert rows.unreadable is not None
        assert rows.unreadable.startswith(f"the row is not of its form: {words}")
        assert device is not None
        with pytest.raises(ConflictError, match="unreadable facts"):
            device.entities({})


def test_what_a_request_looks_at_is_bounded(fleet: Fleet) -> None:
    """Also by names of things that are gone; the page after goes on behind the last of them."""
    fleet.deaths([f"a{number:04}" for number in range(MAX_LOOKED_AT)], "thing-1")
    fleet.birth("b", "thing-1")
    fleet.birth("c", "thing-1")
    for wanted in (EVERY_DEVICE, DeviceFilter(connected=False)):
        first = asyncio.run(fleet.facts.page(fleet.tenant, limit=2, cursor=None, wanted=wanted))
        assert first.devices == ()
        assert first.cursor is not None
        assert fleet.ids(1, wanted) == fleet.ids(2, wanted) == ["b", "c"]


def test_a_cursor_is_of_its_tenant_and_list(fleet: Fleet) -> None:
    """A made-up one is refused."""
    fleet.birth("press-07", "thing-1")
    ours = f"devices:{fleet.tenant.id}"
    sealed = [seal(scope, after) for scope, after in ((ours, "no device/"), ("commands", "x"))]
    for cursor in ("AAAA", "!", "press 07", *sealed):
        with pytest.raises(InvalidRequestError, match="cursor"):
            asyncio.run(fleet.facts.page(fleet.tenant, limit=1, cursor=cursor))


def test_members_are_those_of_the_groups_within(fleet: Fleet) -> None:
    """A device of a line is in the hall that the line lies in; `all` holds every device."""
    for name, groups in (
        ("press-01", ["line-press"]),
        ("press-02", ["hall-1", "line-pump"]),
        ("press-03", []),
        ("press-04", ["scrapped"]),
    ):
        fleet.birth(name, "thing-1")
        fleet.change(fleet.found(name).with_groups(groups))
    assert fleet.members("hall-1") == ["press-01", "press-02"]
    assert fleet.members("line-press") == ["press-01"]
    assert fleet.members("all", limit=2) == ["press-01", "press-02", "press-03"]
    assert fleet.members("scrapped") == []


def test_connectivity_in_a_list_is_the_later_event(fleet: Fleet) -> None:
    """Events come out of order: versions tell, and time where AWS has counted anew."""
    fleet.birth("press-07", "thing-1", at=100)
    assert fleet.shown("press-07").connectivity is None
    fleet.came("press-07", at=90, version=1)  # of an earlier thing
    assert fleet.shown("press-07").connectivity is None
    lost = "CONNECTION_LOST"
    for (came, version), (went, end), expected in (
        ((200, 1), (300, 1), Connectivity(connected=False, since_ms=300, disconnect_reason=lost)),
        ((200, 2), (300, 1), Connectivity(connected=True, since_ms=200)),
        ((200, 1), (150, 2), Connectivity(connected=False, since_ms=150, disconnect_reason=lost)),
        ((2 * HOUR_MS, 0), (300, 9), Connectivity(connected=True, since_ms=2 * HOUR_MS)),
        (
            (200, 9),
            (2 * HOUR_MS, 0),
            Connectivity(connected=False, since_ms=2 * HOUR_MS, disconnect_reason=lost),
        ),
    ):
        fleet.came("press-07", at=came, version=version)
        fleet.went("press-07", at=went, version=end)
        assert fleet.shown("press-07").connectivity == expected
    assert fleet.found("press-07").connectivity is None


def _happening(chance: random.Random, tenant: Tenant) -> Callable[[Fleet], object]:
    """A random event or change, of a few names and things only."""
    name, thing = chance.choice(NAMES), chance.choice(("thing-1", "thing-2"))
    groups = chance.sample(sorted(tenant.groups), chance.randrange(3))
    tags = {"building": chance.choice(("7", "8", None))}
    at = chance.randrange(1, 9)

    def change(fleet: Fleet) -> None:
        if device := fleet.find(name):
            fleet.change(device.with_groups(groups).with_tags(tags), now_ms=at)

    return chance.choice(
        [
            change,
            lambda fleet: fleet.birth(name, thing, at=at),
            lambda fleet: fleet.death(name, thing),
            lambda fleet: fleet.came(name, at=at, version=at % 3),
            lambda fleet: fleet.went(name, at=at, version=at % 4),
        ]
    )


def test_whatever_happens_both_answer_the_same(tenant: Tenant, dynamo: Told) -> None:
    """Random events and changes, and after each of them all that can be asked."""
    chance = random.Random(new_seed())  # noqa: S311 - no secret is drawn
    both = [Fleet(MemoryDevices(), tenant), Fleet(dynamo, tenant)]
    for _ in range(25):
        happen = _happening(chance, tenant)
        for fleet in both:
            happen(fleet)
        asked = [
            (
                [fleet.find(name) for name in NAMES],
                [fleet.shown(name) for name in fleet.ids(limit=2)],
                [fleet.members(group) for group in ("all", "hall-1", "line-pump")],
                [
                    fleet.ids(limit, wanted)
                    for limit, wanted in (
                        (1, DeviceFilter(group="hall-1")),
                        (2, DeviceFilter(tags={"building": "7"})),
                        (1, DeviceFilter(connected=True)),
                    )
                ],
            )
            for fleet in both
        ]
        assert asked[0] == asked[1]
