"""Work in an SQS standard queue, in which each tenant is a message group: a fair queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.adapters.aws.client.failures import asks
from service.domain.work import ReceivedWork
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.work import Work
    from service.settings import WorkSettings

_QUEUE: Final = "the work queue"
_MOST_AT_ONCE: Final = 10  # messages of one call (source: SQS API reference, SendMessageBatch)
_LONGEST_POLL: Final = 20  # seconds (source: SQS API reference, ReceiveMessage, WaitTimeSeconds)


@dataclass(frozen=True, kw_only=True)
class SqsWorkQueue:
    """Answers ``ports.WorkQueue`` with the credentials of the service itself.

    A standard queue gives a message out at least once and in any order; the group of a message
    makes it fair, holds nothing back in order, and is the tenant (source: SQS developer guide,
    "Amazon SQS fair queues"; API reference, SendMessage, MessageGroupId).

    Attributes:
        aws: the door.
        settings: of the queue.
        longest_answer_seconds: how long the door waits for an answer.
    """

    aws: AwsDoor
    settings: WorkSettings
    longest_answer_seconds: float

    @asks(_QUEUE)
    async def send(self, work: Sequence[Work], *, delay_seconds: int = 0) -> None:
        # At most 900 (source: SQS API reference, SendMessage, DelaySeconds).
        delay = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        if len(work) == 1:
            answer = await self._queue.call(
                "SendMessage", QueueUrl=self.settings.queue_url, **_message(work[0]), **delay
            )
            # Fail closed: only what has an id was taken (source: SQS API reference, SendMessage).
            _ = answer["MessageId"]
            return
        for start in range(0, len(work), _MOST_AT_ONCE):
            some = work[start : start + _MOST_AT_ONCE]
            answer = await self._queue.call(
                "SendMessageBatch",
                QueueUrl=self.settings.queue_url,
                Entries=[
                    {"Id": str(number), **_message(one), **delay} for number, one in enumerate(some)
                ],
            )
            # Fail closed: some of them are sent; all come again, and twice is as good as once.
            if answer.get("Failed") or len(answer["Successful"]) != len(some):
                raise UnavailableError(_QUEUE)

    @asks(_QUEUE)
    async def receive(self) -> Sequence[ReceivedWork]:
        answer = await self._queue.call(
            "ReceiveMessage",
            QueueUrl=self.settings.queue_url,
            MaxNumberOfMessages=self.settings.at_once,
            # The door gives up on an answer that takes longer than its own limit.
            WaitTimeSeconds=min(_LONGEST_POLL, max(0, int(self.longest_answer_seconds) - 1)),
            VisibilityTimeout=self.settings.handling_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return tuple(
            ReceivedWork(
                receipt=message["ReceiptHandle"],
                text=message["Body"],
                attempt=int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
                sent_at=int(message.get("Attributes", {}).get("SentTimestamp", "0")),
            )
            for message in answer.get("Messages", ())
        )

    @asks(_QUEUE)
    async def done(self, received: ReceivedWork) -> None:
        await self._queue.call(
            "DeleteMessage", QueueUrl=self.settings.queue_url, ReceiptHandle=received.receipt
        )

    async def hold(self, received: ReceivedWork) -> None:
        await self.postpone(received, seconds=self.settings.handling_seconds)

    @asks(_QUEUE)
    async def postpone(self, received: ReceivedWork, *, seconds: int) -> None:
        await self._queue.call(
            "ChangeMessageVisibility",
            QueueUrl=self.settings.queue_url,
            ReceiptHandle=received.receipt,
            VisibilityTimeout=seconds,
        )

    @property
    def _queue(self) -> Calls:
        return self.aws.own("sqs")


def _message(work: Work) -> dict[str, str]:
    return {"MessageBody": work.encode(), "MessageGroupId": work.tenant}
