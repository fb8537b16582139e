"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud


def queues_are_fair(probed: ProbedCloud) -> bool:
    """A tenant that fills the queue, and keeps its workers busy, goes before one that waits."""
    sqs = probed.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="fair")["QueueUrl"]
    for _ in range(40):
        sqs.send_message(QueueUrl=queue, MessageBody="noisy", MessageGroupId="acme")
    for _ in range(3):
        sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=43_200)
    sqs.send_message(QueueUrl=queue, MessageBody="quiet", MessageGroupId="globex")
    [next_one] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)["Messages"]
    return next_one["Body"] != "quiet"


def schedules_fire(probed: ProbedCloud) -> bool:
    """What is due is not sent, or once more without being set again, or not when it is."""
    sqs, scheduler = probed.cloud.client("sqs"), probed.cloud.client("scheduler")
    queue = sqs.create_queue(QueueName="timed")["QueueUrl"]
    account = probed.cloud.account_id
    schedule = {
        "Name": "acme--look",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": f"arn:aws:sqs:{probed.cloud.region}:{account}:timed",
            "RoleArn": f"arn:aws:iam::{account}:role/timer",
            "Input": "look",
        },
    }

    def sent() -> int:
        # Given out once for all, however long the probes beside this one take.
        answer = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=43_200
        )
        return len(answer.get("Messages", ()))

    scheduler.create_schedule(**schedule, ScheduleExpression="at(2020-01-01T00:00:00)")
    counts = [sent(), sent()]
    scheduler.update_schedule(**schedule, ScheduleExpression="at(2020-01-01T00:01:00)")
    counts += [sent(), sent()]
    scheduler.update_schedule(**schedule, ScheduleExpression="at(2090-01-01T00:00:00)")
    counts.append(sent())
    return counts != [1, 0, 1, 0, 0]
