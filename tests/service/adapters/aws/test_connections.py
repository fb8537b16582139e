"""How a device is connected, in the broker's own words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.connections import IotConnections
from service.domain.devices import Connectivity, Device
from service.errors import UpstreamError
from service.settings import AwsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant


@dataclass
class Broker:
    """The data plane: one answer, or the code of an error; keeps what it was asked for."""

    answer: dict[str, Any] | str
    asked: str = ""

    def get_connection(self, *, clientId: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        """The answer."""
        self.asked = clientId
        if isinstance(self.answer, str):
            raise ClientError({"Error": {"Code": self.answer}}, "GetConnection")
        return self.answer

    def tenant(self, _tenant: Tenant, _service: str) -> Broker:
        """Also the sessions."""
        return self


@pytest.fixture(scope="module")
def calls() -> Iterator[AwsCalls]:
    """One thread."""
    one = AwsCalls(AwsSettings(region="eu-central-1", threads=1, max_waiting=1, deadline_seconds=5))
    yield one
    one.close()


def find(calls: AwsCalls, broker: Broker) -> Connectivity | None:
    """What is found of press-07."""
    adapter = IotConnections(calls=calls, sessions=cast("AwsSessions", broker))
    device = Device(tenant="acme", id="press-07")
    return asyncio.run(adapter.find(cast("Tenant", None), device))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"connected": True, "connectedSince": 5, "disconnectedSince": 3},
            Connectivity(connected=True, since_ms=5),
        ),
        (
            {"connected": False, "disconnectedSince": 7, "disconnectReason": "CONNECTION_LOST"},
            Connectivity(connected=False, since_ms=7, disconnect_reason="CONNECTION_LOST"),
        ),
        ({"connected": False}, Connectivity(connected=False)),
        ("ResourceNotFoundException", None),
    ],
)
def test_the_broker_tells_how_a_device_is_connected(
    calls: AwsCalls, answer: dict[str, Any] | str, expected: Connectivity | None
) -> None:
    """Asked by the thing's name, which is the client's; a client that it forgot is unknown."""
    broker = Broker(answer)
    assert find(calls, broker) == expected
    assert broker.asked == "acme--press-07"


def test_a_refused_question_is_an_error(calls: AwsCalls) -> None:
    """Nothing is made up."""
    with pytest.raises(UpstreamError):
        find(calls, Broker("ForbiddenException"))
