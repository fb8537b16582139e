"""A command on its way: to its own topic, with what its device needs and for as long as it may."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.broker import PROCESSING_SECONDS, IotCommandBroker
from service.adapters.aws.client.failures import NoAnswerError
from service.domain.commands import CommandRecord, DirectAnswer
from service.errors import UnavailableError
from service.settings import DirectMessageSettings
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

AT = 1_790_000_000_000
RECORD = CommandRecord(
    command_id="01JD0000000000000000000000",
    tenant="acme",
    device="press-07",
    name="reboot",
    arguments={"n": 1},
    created_by="somebody",
    created_at=AT,
    expires_at=AT + 60_000,
)


def broker_of(door: AnsweredDoor) -> IotCommandBroker:
    """The adapter."""
    return IotCommandBroker(aws=door, settings=DirectMessageSettings())


def test_a_cancel_is_published_as_its_command(acme: Tenant, door: AnsweredDoor) -> None:
    """On the same topic, for as long; it says which command, and no more of it."""
    asyncio.run(broker_of(door).cancel(acme, replace(RECORD, canceled_at=AT + 5), now_ms=AT))
    [call] = door.calls
    told = call.arguments
    assert call.operation == "Publish"
    assert (told["messageExpiry"], told["qos"]) == (60, 1)
    assert told["topic"] == f"fleet/acme--press-07/commands/{RECORD.command_id}"
    assert json.loads(told["payload"]) == {
        "wire": 1,
        "command_id": RECORD.command_id,
        "thing": "acme--press-07",
        "canceled_at": AT + 5,
        "expires_at": AT + 60_000,
    }


@pytest.mark.parametrize(
    ("now_ms", "seconds"),
    [(AT, 60), (AT + 1, 60), (AT + 59_001, 1), (AT + 60_000, 1), (AT + 90_000, 1)],
)
def test_a_command_is_published_until_its_expiry(
    acme: Tenant, door: AnsweredDoor, now_ms: int, seconds: int
) -> None:
    """The broker drops it no earlier than it expires, and keeps it for a whole second at least."""
    broker = broker_of(door)
    asyncio.run(broker.publish(acme, RECORD, now_ms=now_ms))
    [call] = door.calls
    told = call.arguments
    assert told["messageExpiry"] == seconds
    assert told["topic"] == f"fleet/acme--press-07/commands/{RECORD.command_id}"
    assert told["responseTopic"].endswith(RECORD.command_id + "/status")
    assert told["qos"] == 1
    assert base64.b64decode(told["correlationData"]).decode() == RECORD.command_id
    message = json.loads(told["payload"])
    assert (message["name"], message["arguments"]) == ("reboot", {"n": 1})


@pytest.mark.parametrize(("now_ms", "seconds"), [(AT, 3), (AT + 58_500, 2), (AT + 90_000, 1)])
def test_a_direct_message_waits_no_longer_than_the_command(
    acme: Tenant, door: AnsweredDoor, now_ms: int, seconds: int
) -> None:
    """To the one client, until it has it, and for no more than the setting or what is left."""
    answer = asyncio.run(broker_of(door).send_direct(acme, RECORD, now_ms=now_ms))
    [call] = door.calls
    assert answer is DirectAnswer.RECEIVED
    assert (call.operation, call.arguments["clientId"]) == ("SendDirectMessage", "acme--press-07")
    assert (call.arguments["confirmation"], call.arguments["timeout"]) == (True, seconds)
    assert call.arguments["topic"] == f"fleet/acme--press-07/commands/{RECORD.command_id}"
    assert json.loads(call.arguments["payload"])["command_id"] == RECORD.command_id


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (Refusal("ResourceNotFoundException", 404), DirectAnswer.NOT_CONNECTED),
        (Refusal("GatewayTimeoutException", 504), DirectAnswer.NOT_CONFIRMED),
    ],
)
def test_a_device_that_says_nothing_is_asked_once(
    acme: Tenant,
    door: AnsweredDoor,
    refusal: Refusal,
    answer: DirectAnswer,
) -> None:
    """AWS's 404 is a device that is away, its 504 one that may have it; neither is asked again."""
    door.answer = lambda _: refusal
    assert asyncio.run(broker_of(door).send_direct(acme, RECORD, now_ms=AT)) is answer
    assert len(door.calls) == 1


@pytest.mark.parametrize("failure", [None, NoAnswerError("it broke", is_lost=True)])
def test_a_direct_message_is_not_tried_again(acme: Tenant, failure: NoAnswerError | None) -> None:
    """It is asked once, whatever the settings say, and waited for longer than the device takes."""
    door = AnsweredDoor(replace(AWS, max_attempts=3))
    door.answer = lambda _: failure
    with pytest.raises(UnavailableError):
        asyncio.run(broker_of(door).send_direct(acme, RECORD, now_ms=AT))
    assert len(door.calls) == 1
    assert door.line.seconds == DirectMessageSettings().confirm_seconds + PROCESSING_SECONDS


def test_slow_devices_take_no_place_from_anybody(acme: Tenant, door: AnsweredDoor) -> None:
    """Where as many direct messages wait as may, one more is refused at once and not queued."""

    async def scenario() -> None:
        waiting, over = asyncio.Event(), asyncio.Event()

        async def slow() -> dict[str, Any]:
            waiting.set()
            await over.wait()
            return {}

        door.answer = lambda _: slow()
        first = asyncio.create_task(broker.send_direct(acme, RECORD, now_ms=AT))
        await waiting.wait()
        with pytest.raises(UnavailableError):
            await broker.send_direct(acme, RECORD, now_ms=AT)
        door.answer = lambda _: {}
        await broker.publish(acme, RECORD, now_ms=AT)
        over.set()
        assert await first is DirectAnswer.RECEIVED

    broker = IotCommandBroker(aws=door, settings=DirectMessageSettings(at_once=1))
    asyncio.run(scenario())
