"""What policies see of a device and a group."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cedar.device_facts import DeviceFactError, device_attributes
from service.cedar.values import EntityUid
from service.domain.devices import Device, check_attributes, check_one_offset, check_patch_date
from service.domain.groups import DeviceGroup
from service.errors import ConflictError, InvalidRequestError

if TYPE_CHECKING:
    from service.cedar.entities import Entity

# Hypothesis wants naive bounds, and puts the zone to what it draws.
FIRST, LAST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (2020, 2036))
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


def test_a_device_stands_in_its_groups_and_its_tenant() -> None:
    """Groups as parents, `all` above each device, the tenant above `all`; times as durations."""
    device = Device(
        tenant="acme",
        id="press-07",
        groups=("line-press",),
        attributes={
            "utc_offset": "-05:30",
            "window": "22:00-04:00",
            "security_patch": "2026-10-01",
            "unknown": "x",
        },
    )
    found = {entity.uid: entity for entity in device.entities({"line-press": (), "line-pump": ()})}
    press = found[EntityUid("Fleet::Device", "press-07")]
    assert press.attributes == {
        "tenant": EntityUid("Fleet::Tenant", "acme"),
        "utc_offset": timedelta(hours=-5, minutes=-30),
        "window_start": timedelta(hours=22),
        "window_end": timedelta(hours=4),
        "security_patch": datetime(2026, 10, 1, tzinfo=UTC),
    }
    everything = EntityUid("Fleet::DeviceGroup", "all")
    line = EntityUid("Fleet::DeviceGroup", "line-press")
    assert press.parents == (everything, line)
    assert found[line].parents == (everything,)
    assert found[everything].parents == (EntityUid("Fleet::Tenant", "acme"),)


def test_attributes_are_set_and_taken_away_one_by_one() -> None:
    """What is not named stays; `None` removes, also what was never there."""
    device = Device(tenant="acme", id="press-07", attributes={"kind": "press", "site": "berlin"})
    changed = device.with_attributes({"kind": None, "window": "22:00-04:00", "zone": None})
    assert changed.attributes == {"site": "berlin", "window": "22:00-04:00"}


@given(moments)
def test_a_time_zone_gives_the_offset_of_the_moment(now: datetime) -> None:
    """Berlin's summer is from 01:00 UTC of March's last Sunday to October's; no zone, no change."""

    def changeover(month: int) -> datetime:
        last = datetime(now.year, month, 31, 1, tzinfo=UTC)
        return last - timedelta(days=last.isoweekday() % 7)

    summer = changeover(3) <= now < changeover(10)
    press = Device(
        tenant="acme", id="press-07", attributes={"time_zone": "Europe/Berlin"}
    ).entities({})[0]
    assert press.at(now).attributes == {
        **press.attributes,
        "utc_offset": timedelta(hours=2 if summer else 1),
    }
    fixed = Device(tenant="acme", id="press-07", attributes={"utc_offset": "+05:00"}).entities({})[
        0
    ]
    assert fixed.at(now) == fixed


NESTED = {
    "hall-1": (),
    "line-press": ("hall-1", "certified"),
    "cell-4": ("line-press",),
    "certified": (),
}


def above(entities: tuple[Entity, ...]) -> dict[str, set[str]]:
    """Name of each entity -> names of its parents."""
    return {entity.uid.id: {parent.id for parent in entity.parents} for entity in entities}


def test_all_groups_above_a_device_come_with_it() -> None:
    """Each group once, under the groups that it lies in; one in no other lies in `all`."""
    device = Device(tenant="acme", id="press-07", groups=("cell-4", "certified"))
    assert above(device.entities(NESTED)) == {
        "press-07": {"all", "cell-4", "certified"},
        "cell-4": {"line-press"},
        "line-press": {"hall-1", "certified"},
        "hall-1": {"all"},
        "certified": {"all"},
        "all": {"acme"},
        "acme": set(),
    }


def test_all_groups_above_a_group_come_with_it() -> None:
    """The group that is asked about stands first."""
    entities = DeviceGroup(tenant="acme", id="line-press").entities(NESTED)
    assert entities[0].uid.id == "line-press"
    assert above(entities) == {
        "line-press": {"hall-1", "certified"},
        "hall-1": {"all"},
        "certified": {"all"},
        "all": {"acme"},
        "acme": set(),
    }
    assert above(DeviceGroup(tenant="acme", id="all").entities(NESTED)) == {
        "all": {"acme"},
        "acme": set(),
    }


def test_a_group_that_the_tenant_has_no_more_counts_for_nothing() -> None:
    """A policy may still name it: nobody gains by a line that was taken out of the file."""
    device = Device(tenant="acme", id="press-07", groups=("line-press", "scrapped"))
    assert "scrapped" not in above(device.entities(NESTED))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"criticality": "very"}, "an unreadable attribute `criticality`"),
        ({"utc_offset": "+01:00", "time_zone": "Europe/Berlin"}, "contradicting attributes"),
    ],
)
def test_a_device_of_unreadable_facts_is_a_conflict(attributes: dict[str, str], words: str) -> None:
    """A policy that asks for the attribute must not find it missing."""
    with pytest.raises(ConflictError, match=words):
        Device(tenant="acme", id="press-07", attributes=attributes).entities({})


def test_a_refused_fact_is_told_in_the_words_alone() -> None:
    """They go into an answer: the name of the fact stands beside them, not in them."""
    with pytest.raises(DeviceFactError) as caught:
        device_attributes({"criticality": "very"})
    assert (caught.value.fact, str(caught.value)) == (
        "criticality",
        "must be one of low, medium, high",
    )


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device(tenant="acme", id="d", unreadable="no `groups`"), "unreadable facts: no `groups`"),
        (
            Device(tenant="acme", id="d", tags={"building": "7\n"}),
            "unreadable tags: tag `building`",
        ),
        (Device(tenant="acme", id="d", attributes={"criticality": "?"}), "attribute `criticality`"),
    ],
)
def test_a_device_that_nothing_can_decide_on_says_why(device: Device, words: str) -> None:
    """In the words of the refusal; any other has nothing to say."""
    assert words in str(device.problem)
    with pytest.raises(ConflictError, match=words):
        device.entities({})
    assert Device(tenant="acme", id="d", tags={"building": "7"}).problem is None


def test_a_listed_attribute_is_one_of_its_list() -> None:
    """Kinds and regions, each of its own list; a list that is empty bounds nothing."""
    lists = {"kinds": frozenset({"press"}), "regions": frozenset({"eu"}), "tags": frozenset({"x"})}
    check_attributes(lists, {"kind": "press", "region": "eu", "criticality": "low"})
    check_attributes({"kinds": frozenset()}, {"kind": "anything"})
    for name, text in (("kind", "eu"), ("region", "press")):
        with pytest.raises(InvalidRequestError, match=f"`{name}`: `{text}` is none of the"):
            check_attributes(lists, {name: text})


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("1999-12-31", False),
        ("2000-01-01", True),
        ("2026-10-01", True),
        ("2026-10-02", True),
        ("2026-10-03", False),
        (None, True),
    ],
)
def test_a_patch_has_a_day_on_which_it_can_have_come(text: str | None, *, accepted: bool) -> None:
    """From 2000 until tomorrow, which has begun east of here; taking it away is no day."""
    changes = {"security_patch": text}
    if accepted:
        check_patch_date(changes, today=date(2026, 10, 1))
    else:
        with pytest.raises(InvalidRequestError, match="no day of a patch"):
            check_patch_date(changes, today=date(2026, 10, 1))


def test_a_retired_device_is_served_nothing_of_its_groups() -> None:
    """It stands in them all the same."""
    parents = {"line-press": (), "line-pump": ()}
    device = Device(tenant="acme", id="press-07", groups=("line-press",))
    served = [device.is_served_in(group, parents) for group in ("all", "line-press", "line-pump")]
    assert served == [True, True, False]
    retired = replace(device, retired_at=1)
    assert not any(retired.is_served_in(group, parents) for group in ("all", "line-press"))
    assert retired.is_in("line-press", parents)


def test_each_change_is_checked_and_a_removal_is_none() -> None:
    """By the name of the attribute, wherever it stands among the changes."""
    check_attributes({}, {"criticality": "high", "window": None})
    for changes in ({"criticality": None, "window": "x"}, {"window": "x", "kind": "press"}):
        with pytest.raises(InvalidRequestError, match="window"):
            check_attributes({}, changes)


@pytest.mark.parametrize(
    ("stored", "changes", "given_one"),
    [
        ({}, {"time_zone": "Europe/Berlin"}, None),
        ({"utc_offset": "+01:00"}, {"utc_offset": "+02:00"}, None),
        ({"utc_offset": "+01:00"}, {"time_zone": "Europe/Berlin", "utc_offset": None}, None),
        ({"utc_offset": "+01:00"}, {"time_zone": "Europe/Berlin"}, "time_zone"),
        ({"time_zone": "Europe/Berlin"}, {"utc_offset": "+01:00"}, "utc_offset"),
        ({}, {"time_zone": "Europe/Berlin", "utc_offset": "+01:00"}, "time_zone"),
    ],
)
def test_a_zone_never_stands_beside_an_offset(
    stored: dict[str, str], changes: dict[str, str | None], given_one: str | None
) -> None:
    """The attribute that was given is named, and the other one to be removed."""
    if given_one is None:
        check_one_offset(stored, changes)
        return
    other = {"time_zone": "utc_offset", "utc_offset": "time_zone"}[given_one]
    with pytest.raises(InvalidRequestError, match=f"set `{other}` to null") as caught:
        check_one_offset(stored, changes)
    assert caught.value.field == given_one
