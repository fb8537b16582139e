"""Entities that are read without the schema are the same as with it, and none slips past it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.conformance import Conformance
from service.cedar.entities import Entity
from service.cedar.request import ACTION, AuthorizationRequest, RequestContext
from service.cedar.values import EntityUid
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    from service.cedar.values import Value

OTHER = Entity(uid=EntityUid("Fleet::Tenant", "acme"), attributes={})
TYPES: dict[str, dict[str, Any]] = {
    "text": {"type": "String"},
    "number": {"type": "Long"},
    "truth": {"type": "Boolean"},
    "moment": {"type": "Extension", "name": "datetime"},
    "span": {"type": "Extension", "name": "duration"},
    "address": {"type": "Extension", "name": "ipaddr"},
    "tenant": {"type": "Entity", "name": "Tenant"},
    "texts": {"type": "Set", "element": {"type": "String"}},
    "record": {"type": "Record", "attributes": {"text": {"type": "String", "required": False}}},
}
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.text(),
        st.sampled_from(["2026-10-01", "1h", "10.0.0.1"]),
        st.integers(-(2**70), 2**70),
        st.booleans(),
        st.just(datetime(2026, 10, 1, tzinfo=UTC)),
        st.just(timedelta(hours=1)),
        st.just(ip_address("10.0.0.1")),
        st.sampled_from([EntityUid("Fleet::Tenant", "acme"), EntityUid("Fleet::Device", "x")]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from(["text", "number"]), inner, max_size=2),
    ),
    max_leaves=3,
)
PARENTS = st.sampled_from([OTHER.uid, EntityUid("Fleet::Device", "above")])
ENTITIES = st.builds(
    Entity,
    uid=st.builds(EntityUid, st.sampled_from(["Fleet::Device", "Fleet::Tenant"]), st.text("ab")),
    attributes=st.dictionaries(st.sampled_from([*TYPES, "unknown"]), VALUES, max_size=3),
    parents=st.lists(PARENTS, max_size=1).map(tuple),
    tags=st.dictionaries(st.just("b"), st.just("7"), max_size=1),
)


def schema(**of_device: Any) -> dict[str, Any]:
    """One with two types of entities, and an action in a group."""
    attributes = {name: kind | {"required": False} for name, kind in TYPES.items()}
    return {
        "commonTypes": {
            "RequestContext": {
                "type": "Record",
                "attributes": {"token": {"type": "Record", "attributes": {}, "required": False}},
            }
        },
        "entityTypes": {
            "Tenant": {},
            "Device": {
                "memberOfTypes": ["Tenant"],
                "shape": {"type": "Record", "attributes": attributes},
                **of_device,
            },
        },
        "actions": {
            "View": {},
            "Read": {
                "memberOf": [{"id": "View"}],
                "appliesTo": {"principalTypes": ["Device"], "resourceTypes": ["Device"]},
            },
        },
    }


def both(declared: dict[str, Any]) -> tuple[Conformance, cedarpy.Schema]:
    """What is looked at, and the schema itself."""
    parsed = cedarpy.Schema.from_json_str(json.dumps({"Fleet": declared}))
    return Conformance(parsed, declared), parsed


def spelt(entities: cedarpy.Entities) -> dict[str, Any]:
    """By uid, whatever the order."""
    return {
        json.dumps(one["uid"], sort_keys=True): (
            one["attrs"],
            sorted(map(str, one["parents"])),
            one.get("tags"),
        )
        for one in json.loads(str(entities))
    }


SHARED = both(schema())


@settings(max_examples=150)
@given(ENTITIES, ENTITIES)
def test_what_is_read_is_what_the_schema_reads(about: Entity, other: Entity) -> None:
    """Whatever forms are known by then: the same entities, or a refusal where it refuses."""
    looked_at, parsed = SHARED
    given_both = (
        {about.uid: about} if about.uid == other.uid else {about.uid: about, other.uid: other}
    )
    text = json.dumps([entity.json() for entity in given_both.values()])
    others = [] if len(given_both) == 1 else [other]
    try:
        expected = spelt(cedarpy.Entities.from_json_str(text, parsed))
    except ValueError:
        with pytest.raises(ValueError):
            looked_at.entities("Read", about, others)
        return
    if expected != spelt(cedarpy.Entities.from_json_str(text).with_added_json_str("[]", parsed)):
        # A text of which the schema makes a moment: nobody guesses, the store is asked.
        with pytest.raises(ValueError, match="something else"):
            looked_at.entities("Read", about, others)
        return
    assert spelt(looked_at.entities("Read", about, others)) == expected


def test_a_form_that_is_known_lets_no_other_in() -> None:
    """Each value of a known form is read, and one of another form is still refused."""
    looked_at, _ = both(schema())
    device = EntityUid("Fleet::Device", "press-07")
    for text in ("a", "b"):
        looked_at.entities("Read", Entity(uid=device, attributes={"text": text}), [OTHER])
    wrong: list[dict[str, Value]] = [{"text": 1}, {"text": True}, {"unknown": "a"}]
    for attributes in wrong:
        with pytest.raises(ValueError):
            looked_at.entities("Read", Entity(uid=device, attributes=attributes), [OTHER])
    with pytest.raises(ValueError):
        looked_at.entities("Read", Entity(uid=device, attributes={}, tags={"b": "7"}), [OTHER])
    with pytest.raises(ValueError):
        looked_at.entities("Read", Entity(uid=device, attributes={}, parents=(device,)), [OTHER])


@pytest.mark.parametrize(
    ("attribute", "text"),
    [("moment", "2026-10-01"), ("span", "1h"), ("address", "10.0.0.1")],
)
def test_a_text_that_the_schema_reads_otherwise_is_refused(attribute: str, text: str) -> None:
    """Each time, of whoever it is: the policies would not see what the service wrote."""
    looked_at, _ = both(schema())
    odd = Entity(uid=EntityUid("Fleet::Device", "press-07"), attributes={attribute: text})
    for about, others in ((odd, [OTHER]), (odd, [OTHER]), (OTHER, [odd])):
        with pytest.raises(ValueError, match="something else of `Fleet::Device`"):
            looked_at.entities("Read", about, others)


def test_an_enumerated_type_is_held_against_the_schema() -> None:
    """Which ids it has no form tells: one that is not among them is refused each time."""
    declared = schema()
    declared["entityTypes"]["Level"] = {"enum": ["low", "high"]}
    declared["entityTypes"]["Device"]["shape"]["attributes"]["level"] = {
        "type": "Entity",
        "name": "Level",
    }
    looked_at, _ = both(declared)
    device = EntityUid("Fleet::Device", "press-07")

    def with_level(level: str) -> Entity:
        return Entity(uid=device, attributes={"level": EntityUid("Fleet::Level", level)})

    looked_at.entities("Read", with_level("low"), [OTHER])
    with pytest.raises(ValueError):
        looked_at.entities("Read", with_level("middle"), [OTHER])


def asked(**context: Value) -> AuthorizationRequest:
    """May a device read another one?"""
    one, other = (EntityUid("Fleet::Device", name) for name in ("one", "other"))
    return AuthorizationRequest(
        principal=one, action="Read", resource=other, context=context, entities=()
    )


@pytest.mark.parametrize("kind", [{"type": "String"}, {"type": "Extension", "name": "datetime"}])
def test_a_request_is_read_without_the_schema_once_known(kind: dict[str, Any]) -> None:
    """One of the same form as one that fitted; never if the schema makes no text of a text."""
    declared = schema()
    declared["commonTypes"]["RequestContext"]["attributes"]["reason"] = kind | {"required": False}
    looked_at, parsed = both(declared)
    assert looked_at.schema_for(asked(reason="a fire")) is parsed
    looked_at.fitted(asked(reason="a fire"))
    is_text = kind["type"] == "String"
    assert looked_at.schema_for(asked(reason="2026-10-01")) is (None if is_text else parsed)
    for other in (asked(reason=1), asked(), asked(reason="a", command="b")):
        assert looked_at.schema_for(other) is parsed
    for change in ({"action": "View"}, {"resource": OTHER.uid}, {"principal": OTHER.uid}):
        assert looked_at.schema_for(replace(asked(reason="a fire"), **change)) is parsed


def test_an_action_stands_alone_with_its_groups() -> None:
    """What an evaluation knows of the schema's actions is the one that is asked for."""
    looked_at, _ = SHARED

    def actions(of: str) -> set[str]:
        found = spelt(looked_at.entities(of, OTHER, []))
        return {json.loads(uid)["id"] for uid in found if json.loads(uid)["type"] == ACTION}

    assert actions("View") == {"View"}
    assert actions("Read") == {"Read", "View"}
    # Fail closed: of one that is not the schema's nobody knows what it is in.
    assert actions("Write") == {"Read", "View"}


def test_the_policies_schema_is_left_out_once_known() -> None:
    """Of whatever the service tells of a request: what is new there must not cost every read."""
    text = stamped(MemoryUserPool("acme").tenant).schema
    looked_at, parsed = both(json.loads(text)["Fleet"])
    context = RequestContext(
        now=datetime(2026, 10, 1, tzinfo=UTC),
        reason="a fire",
        source_ip=ip_address("10.0.0.1"),
        targets=7,
        planned=True,
        changed_tags=("a",),
        requester=EntityUid("Fleet::User", "pool|somebody"),
        artifact=Entity(uid=EntityUid("Fleet::Artifact", "a"), attributes={}),
    )
    request = asked(**context.values())
    assert looked_at.schema_for(request) is parsed
    looked_at.fitted(request)
    assert looked_at.schema_for(request) is None
