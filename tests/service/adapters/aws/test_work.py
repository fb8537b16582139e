"""Messages of work that go out ten at a time, all of them or none as far as the sender is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.work import SqsWorkQueue
from service.domain.work import ReceivedWork, Work, WorkKind
from service.errors import UnavailableError, UpstreamError
from service.settings import WorkSettings

if TYPE_CHECKING:
    from tests.service.adapters.aws.answered_line import AnsweredDoor

WORK = [
    Work(kind=WorkKind.MAKE_JOB, issuer="i", tenant="acme", about={"job": f"{number:02}"})
    for number in range(23)
]


@pytest.fixture
def queue(door: AnsweredDoor) -> SqsWorkQueue:
    """The queue behind the door."""
    settings = WorkSettings(
        queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/work",
        timer_role_arn="arn:aws:iam::123456789012:role/timer",
    )
    return SqsWorkQueue(aws=door, settings=settings, longest_answer_seconds=5)


def test_many_messages_take_few_calls(door: AnsweredDoor, queue: SqsWorkQueue) -> None:
    """Each once and in its tenant's group; one that AWS did not take has all sent again."""
    door.answer = lambda call: {
        "Successful": [{"Id": one["Id"]} for one in call.arguments["Entries"]],
        "Failed": [],
    }
    asyncio.run(queue.send(WORK))
    sent = [call.arguments["Entries"] for call in door.calls]
    assert [len(entries) for entries in sent] == [10, 10, 3]
    assert [Work.decode(one["MessageBody"]) for entries in sent for one in entries] == WORK
    assert {one["MessageGroupId"] for entries in sent for one in entries} == {"acme"}
    failed = {"Id": "1", "SenderFault": False, "Code": "InternalError"}
    door.answer = lambda _: {"Successful": [], "Failed": [failed]}
    with pytest.raises(UnavailableError):
        asyncio.run(queue.send(WORK[:2]))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "said", [{}, {"Successful": []}, {"Successful": [{"Id": "0"}], "Failed": []}]
)
def test_what_nobody_says_was_taken_is_not_sent(
    door: AnsweredDoor, queue: SqsWorkQueue, number: int, said: dict[str, Any]
) -> None:
    """An answer without the ids of all messages is none: who waits for the work would wait long."""
    door.answer = lambda _: said
    with pytest.raises(UpstreamError):
        asyncio.run(queue.send(WORK[:number]))


def test_each_call_says_what_sqs_needs(door: AnsweredDoor, queue: SqsWorkQueue) -> None:
    """A delay only where there is one, a poll shorter than the door's patience, the receipt."""
    door.answer = lambda call: {"MessageId": "m1"} if call.operation == "SendMessage" else {}
    received = ReceivedWork(receipt="r1", text="", attempt=1)

    async def calls() -> None:
        await queue.send(WORK[:1])
        await queue.send(WORK[:1], delay_seconds=5)
        await queue.receive()
        await queue.done(received)
        await queue.hold(received)
        await queue.postpone(received, seconds=7)

    asyncio.run(calls())
    url = queue.settings.queue_url
    message = {"QueueUrl": url, "MessageBody": WORK[0].encode(), "MessageGroupId": "acme"}
    held = {"QueueUrl": url, "ReceiptHandle": "r1"}
    sent, later, poll, done, hold, postponed = door.calls
    assert (sent.operation, sent.arguments) == ("SendMessage", message)
    assert later.arguments == message | {"DelaySeconds": 5}
    assert (poll.operation, poll.arguments["WaitTimeSeconds"]) == ("ReceiveMessage", 4)
    assert (done.operation, done.arguments) == ("DeleteMessage", held)
    seconds = queue.settings.handling_seconds
    assert (hold.operation, hold.arguments) == (
        "ChangeMessageVisibility",
        held | {"VisibilityTimeout": seconds},
    )
    assert postponed.arguments == held | {"VisibilityTimeout": 7}


def test_what_is_received_says_how_often_and_since_when(
    door: AnsweredDoor, queue: SqsWorkQueue
) -> None:
    """As SQS counts it; what it does not say is the first time."""
    told = {"ApproximateReceiveCount": "3", "SentTimestamp": "7"}
    message = {"ReceiptHandle": "r1", "Body": "text"}
    door.answer = lambda _: {"Messages": [message | {"Attributes": told}, message]}
    assert asyncio.run(queue.receive()) == (
        ReceivedWork(receipt="r1", text="text", attempt=3, sent_at=7),
        ReceivedWork(receipt="r1", text="text", attempt=1, sent_at=0),
    )
