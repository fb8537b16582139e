"""Messages of work that go out ten at a time, all of them or none as far as the sender is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.work import SqsWorkQueue
from service.domain.work import Work, WorkKind
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
