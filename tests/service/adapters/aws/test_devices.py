"""What the fleet's adapter asks of AWS beyond what the embedded cloud can show."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import available_timezones

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.devices import IotDeviceRegistry, IotFleetIndex
from service.domain.devices import Connectivity, Device, check_attributes
from service.errors import ConflictError, InvalidRequestError
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_sessions import Refusal

if TYPE_CHECKING:
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_sessions import AnsweredSessions, Call


# Read once: an example of the property must not pay for the model of all IoT.
MODEL = botocore.session.get_session().get_service_model("iot").shape_for("AttributeValue")
STORABLE = str(MODEL.metadata["pattern"])


@dataclass
class Index:
    """AWS IoT whose index compares names without case, as the real one; keeps what is stored."""

    things: list[str]
    stored: dict[str, str] = field(default_factory=dict[str, str])

    def search_index(
        self,
        *,
        queryString: str,  # noqa: N803 - AWS's name
        maxResults: int = 100,  # noqa: N803 - AWS's name
    ) -> dict[str, Any]:
        """The first matches."""
        name = queryString.partition(":")[2].lower()
        found = [thing for thing in self.things if thing.lower() == name]
        connected = {thing: {"connected": thing == "acme--press-07"} for thing in found}
        return {
            "things": [{"thingName": thing, "connectivity": connected[thing]} for thing in found][
                :maxResults
            ]
        }

    def update_thing(
        self,
        *,
        thingName: str,  # noqa: ARG002, N803 - AWS's name
        attributePayload: dict[str, Any],  # noqa: N803 - AWS's name
        expectedVersion: int,  # noqa: ARG002, N803 - AWS's name
    ) -> None:
        """Keep the attributes."""
        self.stored |= attributePayload["attributes"]

    def tenant(self, _tenant: Tenant, _service: str) -> Index:
        """Also the sessions."""
        return self


@pytest.fixture(scope="module")
def calls() -> AwsCalls:
    """One thread."""
    return AwsCalls(
        AwsSettings(region="eu-central-1", threads=1, max_waiting=1, deadline_seconds=5)
    )


def test_connectivity_is_of_the_name_in_its_own_case(calls: AwsCalls) -> None:
    """`PRESS-07` stands first in an index that compares without case; it is another device."""
    index = Index(["acme--PRESS-07", "acme--Press-07", "acme--press-07"])
    device = Device(tenant="acme", id="press-07")
    adapter = IotFleetIndex(calls=calls, sessions=cast("AwsSessions", index))
    seen = asyncio.run(adapter.connectivity(cast("Tenant", None), device))
    assert seen.connectivity is not None
    assert seen.connectivity.connected


@given(
    st.sampled_from(
        ["kind", "region", "criticality", "utc_offset", "time_zone", "window", "security_patch"]
    ),
    st.from_regex(r"[+-](0[0-9]|1[0-4]):[0-5][0-9]", fullmatch=True)
    | st.from_regex(r"[01][0-9]:[0-5][0-9]-2[0-3]:[0-5][0-9]", fullmatch=True)
    | st.sampled_from(["low", "2026-10-01", *sorted(available_timezones())])
    | st.text(max_size=70),
)
def test_whatever_is_accepted_is_of_awss_own_pattern(calls: AwsCalls, name: str, text: str) -> None:
    """An attribute that passes our rules is stored as a text that botocore's model allows."""
    try:
        check_attributes({name: text})
    except InvalidRequestError:
        return
    index = Index([])
    adapter = IotDeviceRegistry(calls=calls, sessions=cast("AwsSessions", index))
    asyncio.run(
        adapter.set_attributes(cast("Tenant", None), Device(tenant="acme", id="a"), {name: text})
    )
    assert index.stored[name]
    assert re.fullmatch(STORABLE, index.stored[name])


def test_a_device_is_read_with_its_groups_and_facts(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Groups of the tenant alone, without the root; attributes that are facts, in our spelling."""

    def answer(call: Call) -> dict[str, Any]:
        if call.operation == "DescribeThing":
            stored = {"utc_offset": "02:00", "kind": "press", "vendor": "x"}
            return {"version": 7, "attributes": stored}
        more = {} if "nextToken" in call.arguments else {"nextToken": "2"}
        names = ["acme", "acme--line-press", "globex--ward"] if more else ["acme--a", "acme--all"]
        return {"thingGroups": [{"groupName": name} for name in names], **more}

    sessions.answer = answer
    found = asyncio.run(IotDeviceRegistry(calls=aws, sessions=sessions).find(acme, "press-07"))
    assert found == Device(
        tenant="acme",
        id="press-07",
        groups=("a", "line-press"),
        attributes={"kind": "press", "utc_offset": "+02:00"},
        version=7,
    )


@pytest.mark.parametrize("missing", ["DescribeThing", "ListThingGroupsForThing"])
def test_a_device_that_is_gone_in_between_is_none(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant, missing: str
) -> None:
    """Never a device without its groups: a policy would decide as if it stood in none."""

    def answer(call: Call) -> dict[str, Any] | Refusal:
        if call.operation == missing:
            return Refusal("ResourceNotFoundException", 404)
        return {"version": 1, "thingGroups": []}

    sessions.answer = answer
    registry = IotDeviceRegistry(calls=aws, sessions=sessions)
    assert asyncio.run(registry.find(acme, "press-07")) is None


@pytest.mark.parametrize(
    "change",
    [
        ("utc_offset", "+02:00", "02:00"),
        ("utc_offset", "-02:00", "-02:00"),
        ("utc_offset", None, ""),
        ("kind", "press", "press"),
        ("kind", None, ""),
    ],
)
def test_a_change_is_of_the_version_that_was_read(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant, change: tuple[str, str | None, str]
) -> None:
    """Merged into what is there, and only onto the version that was decided on."""
    name, text, stored = change
    registry = IotDeviceRegistry(calls=aws, sessions=sessions)
    device = Device(tenant="acme", id="press-07", version=7)
    asyncio.run(registry.set_attributes(acme, device, {name: text}))
    [call] = sessions.calls
    assert call.arguments == {
        "thingName": "acme--press-07",
        "attributePayload": {"attributes": {name: stored}, "merge": True},
        "expectedVersion": 7,
    }
    sessions.answer = lambda _: Refusal("VersionConflictException", 409)
    with pytest.raises(ConflictError, match="read it and try again"):
        asyncio.run(registry.set_attributes(acme, device, {name: text}))


@pytest.mark.parametrize("text", ["+a", "a b", "ä", "x" * 801, "+02:00"])
def test_an_attribute_that_aws_cannot_store_is_refused(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant, text: str
) -> None:
    """By name, before AWS is asked."""
    registry = IotDeviceRegistry(calls=aws, sessions=sessions)
    device = Device(tenant="acme", id="press-07")
    with pytest.raises(InvalidRequestError, match="kind"):
        asyncio.run(registry.set_attributes(acme, device, {"kind": text}))
    assert sessions.calls == []


def test_a_page_shows_the_tenants_devices_alone(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Whatever the shared index finds besides is dropped; the cursor asks for the next page."""
    seen = {"connected": True, "timestamp": 5, "disconnectReason": "CLIENT_ERROR"}
    things = [
        {"thingName": "acme--press-07", "connectivity": seen, "thingGroupNames": ["acme--line"]},
        {"thingName": "globex--pump-01"},
        {"thingName": "acme"},
        {"thingName": "acme--press-08", "attributes": {"kind": "press", "vendor": "x"}},
    ]
    sessions.answer = lambda _: {"things": things, "nextToken": "two"}
    index = IotFleetIndex(calls=aws, sessions=sessions)
    page = asyncio.run(index.page(acme, limit=4, cursor=None))
    connectivity = Connectivity(connected=True, since_ms=5, disconnect_reason="CLIENT_ERROR")
    assert page.devices == (
        Device(tenant="acme", id="press-07", groups=("line",), connectivity=connectivity),
        Device(tenant="acme", id="press-08", attributes={"kind": "press"}),
    )
    assert sessions.calls[0].arguments == {
        "queryString": "thingGroupNames:acme AND thingName:acme--*",
        "maxResults": 4,
    }
    sessions.answer = lambda _: {}
    last = asyncio.run(index.page(acme, limit=4, cursor=page.cursor))
    assert (last.devices, last.cursor) == ((), None)
    assert sessions.calls[-1].arguments["nextToken"] == "two"


def test_a_device_that_is_not_indexed_has_no_connectivity(
    aws: AwsCalls, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Nothing is made up for it."""
    device = Device(tenant="acme", id="press-07")
    index = IotFleetIndex(calls=aws, sessions=sessions)
    assert asyncio.run(index.connectivity(acme, device)) == device
