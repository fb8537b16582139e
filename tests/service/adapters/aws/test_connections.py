"""How a device is connected, in the broker's own words."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.connections import IotConnections
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.devices import Connectivity, Device
from service.errors import UpstreamError
from tests.service.adapters.aws.answered_line import Refusal

if TYPE_CHECKING:
    from tests.service.adapters.aws.answered_line import AnsweredDoor


def find(door: AnsweredDoor, answer: dict[str, Any] | Refusal) -> Connectivity | None:
    """What is found of press-07."""
    door.answer = lambda _: answer
    adapter = IotConnections(aws=door)
    device = Device(tenant="acme", id="press-07")
    return asyncio.run(adapter.find(MemoryUserPool("acme").tenant, device))


def end(door: AnsweredDoor, answer: dict[str, Any] | Refusal) -> None:
    """Have the broker end the connection of press-07."""
    door.answer = lambda _: answer
    device = Device(tenant="acme", id="press-07")
    asyncio.run(IotConnections(aws=door).end(MemoryUserPool("acme").tenant, device))


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
        (Refusal("ResourceNotFoundException", 404), None),
    ],
)
def test_the_broker_tells_how_a_device_is_connected(
    door: AnsweredDoor, answer: dict[str, Any] | Refusal, expected: Connectivity | None
) -> None:
    """Asked by the thing's name, which is the client's; a client that it forgot is unknown."""
    assert find(door, answer) == expected
    [call] = door.calls
    assert call.arguments == {"clientId": "acme--press-07"}


def test_a_refused_question_is_an_error(door: AnsweredDoor) -> None:
    """Nothing is made up."""
    with pytest.raises(UpstreamError):
        find(door, Refusal("ForbiddenException", 403))


@pytest.mark.parametrize("answer", [{}, Refusal("ResourceNotFoundException", 404)])
def test_a_connection_is_ended_for_good(
    door: AnsweredDoor, answer: dict[str, Any] | Refusal
) -> None:
    """With its session, and without a last will; a client that the broker forgot has none."""
    end(door, answer)
    [call] = door.calls
    assert call.operation == "DeleteConnection"
    assert call.arguments == {
        "clientId": "acme--press-07",
        "cleanSession": True,
        "preventWillMessage": True,
    }


def test_a_connection_that_may_stand_is_not_ended(door: AnsweredDoor) -> None:
    """Whoever asked learns it: a retired device must not go on listening."""
    for refusal in (Refusal("ForbiddenException", 403), Refusal("InternalFailureException", 500)):
        with pytest.raises(UpstreamError):
            end(door, refusal)
