"""Work in an SQS standard queue, in which each tenant is a message group: a fair queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.domain.work import ReceivedWork
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.work import Work
    from service.settings import AwsSettings, WorkSettings

_QUEUE: Final = "the work queue"
_MOST_AT_ONCE: Final = 10  # messages of one call (source: SQS API reference, SendMessageBatch)
_LONGEST_POLL: Final = 20  # seconds (source: SQS API reference, ReceiveMessage, WaitTimeSeconds)


@dataclass(frozen=True, kw_only=True)
class SqsWorkQueue:
    """Answers ``ports.WorkQueue`` with the credentials of the service itself.

    A standard queue gives a message out at least once and in any order; the group of a message
    makes it fair, holds nothing back in order, and is the tenant (source: SQS developer guide,
    "Amazon SQS fair queues"; API reference, SendMessage, MessageGroupId).
    """

    calls: AwsCalls
    sessions: AwsSessions
    settings: WorkSettings
    aws: AwsSettings

    async def send(self, work: Sequence[Work]) -> None:
        await self.calls.run(_QUEUE, self._send, work)

    async def receive(self) -> Sequence[ReceivedWork]:
        return await self.calls.run(_QUEUE, self._receive)

    async def done(self, received: ReceivedWork) -> None:
        await self.calls.run(_QUEUE, self._done, received)

    async def postpone(self, received: ReceivedWork, *, seconds: int) -> None:
        await self.calls.run(_QUEUE, self._postpone, received, seconds)

    def _send(self, work: Sequence[Work]) -> None:
        if len(work) == 1:
            self._client().send_message(QueueUrl=self.settings.queue_url, **_message(work[0]))
            return
        for start in range(0, len(work), _MOST_AT_ONCE):
            some = work[start : start + _MOST_AT_ONCE]
            answer = self._client().send_message_batch(
                QueueUrl=self.settings.queue_url,
                Entries=[{"Id": str(number), **_message(one)} for number, one in enumerate(some)],
            )
            # Fail closed: some of them are sent; all come again, and twice is as good as once.
            if answer.get("Failed"):
                raise UnavailableError(_QUEUE)

    def _receive(self) -> tuple[ReceivedWork, ...]:
        answer = self._client().receive_message(
            QueueUrl=self.settings.queue_url,
            MaxNumberOfMessages=self.settings.at_once,
            # The client gives up on an answer that takes longer than its own limit.
            WaitTimeSeconds=min(_LONGEST_POLL, max(0, int(self.aws.read_seconds) - 1)),
            VisibilityTimeout=self.settings.handling_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return tuple(
            ReceivedWork(
                receipt=message["ReceiptHandle"],
                text=message["Body"],
                attempt=int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
            )
            for message in answer.get("Messages", ())
        )

    def _done(self, received: ReceivedWork) -> None:
        self._client().delete_message(
            QueueUrl=self.settings.queue_url, ReceiptHandle=received.receipt
        )

    def _postpone(self, received: ReceivedWork, seconds: int) -> None:
        self._client().change_message_visibility(
            QueueUrl=self.settings.queue_url,
            ReceiptHandle=received.receipt,
            VisibilityTimeout=seconds,
        )

    def _client(self) -> Any:
        return self.sessions.own("sqs")


def _message(work: Work) -> dict[str, str]:
    return {"MessageBody": work.encode(), "MessageGroupId": work.tenant}
