"""Work for the background worker: a fair queue, its dead letters, and the role of the timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.platform_stack import task_roles

HANDLING_SECONDS: Final = 60
"""After which a message that is not done is given to another task."""
ATTEMPTS: Final = 10
_KEEP_SECONDS: Final = 14 * 24 * 3600  # the longest (source: SQS developer guide, message quotas)


@dataclass(frozen=True, kw_only=True)
class WorkArgs:
    """The account that it is in."""

    account_id: pulumi.Output[str]


class Work(pulumi.ComponentResource):
    """A standard queue, to which every message comes with its tenant as group, and dead letters.

    A message that was given out ten times, over three quarters of an hour, waits among the dead
    letters until an operator sends it back (docs/operations.md).
    """

    queue: aws.sqs.Queue
    dead: aws.sqs.Queue
    timer_role: aws.iam.Role

    def __init__(
        self, name: str, args: WorkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Work", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.dead = aws.sqs.Queue(
            f"{name}-dead",
            name=names.DEAD_WORK_QUEUE,
            message_retention_seconds=_KEEP_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        self.queue = aws.sqs.Queue(
            f"{name}-queue",
            name=names.WORK_QUEUE,
            visibility_timeout_seconds=HANDLING_SECONDS,
            message_retention_seconds=_KEEP_SECONDS,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dead.arn, "maxReceiveCount": ATTEMPTS}
            ),
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        self.timer_role = aws.iam.Role(
            f"{name}-timer",
            name=names.TIMER_ROLE,
            description="timers that send work to the worker",
            assume_role_policy=pulumi.Output.json_dumps(
                args.account_id.apply(lambda account: task_roles.timer_trust(account_id=account))
            ),
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-timer",
            name="send",
            role=self.timer_role.name,
            policy=pulumi.Output.json_dumps(
                self.queue.arn.apply(lambda arn: task_roles.timer_permissions(work_arn=arn))
            ),
            opts=child,
        )
        self.register_outputs({"queue": self.queue.url, "dead": self.dead.url})
