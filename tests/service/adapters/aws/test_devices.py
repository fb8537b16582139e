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
from service.domain.devices import Device, check_attributes
from service.errors import InvalidRequestError
from service.settings import AwsSettings

if TYPE_CHECKING:
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant


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
