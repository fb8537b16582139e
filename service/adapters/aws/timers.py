"""Work that waits for its time: one-time schedules of EventBridge Scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from service.adapters.aws.client.calls import error_code

if TYPE_CHECKING:
    from datetime import datetime

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.work import Work
    from service.settings import WorkSettings

_SCHEDULER: Final = "the scheduler"


@dataclass(frozen=True, kw_only=True)
class SchedulerTimers:
    """Answers ``ports.Timers`` with the worker's own credentials.

    A schedule of the form ``at(...)`` fires once, within a minute of its time, and stays until it
    is deleted; until then its name can be given another time (source: EventBridge Scheduler user
    guide, "Schedule types" and "Deleting a schedule"). What it sends is without a message group:
    SQS then takes each message for a tenant of its own (source: SQS developer guide, "How Amazon
    SQS fair queues work").
    """

    calls: AwsCalls
    sessions: AwsSessions
    settings: WorkSettings
    region: str

    async def wake(self, name: str, at: datetime, work: Work) -> None:
        await self.calls.run(_SCHEDULER, self._wake, name, at, work)

    async def forget(self, name: str) -> None:
        await self.calls.run(_SCHEDULER, self._forget, name)

    def _wake(self, name: str, at: datetime, work: Work) -> None:
        schedule = {
            "Name": name,
            "ScheduleExpression": f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": self.settings.queue_arn(self.region),
                "RoleArn": self.settings.timer_role_arn,
                "Input": work.encode(),
            },
        }
        # Most are given another time, so that is tried first.
        try:
            self._client().update_schedule(**schedule)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            self._create(schedule)

    def _create(self, schedule: dict[str, Any]) -> None:
        try:
            self._client().create_schedule(**schedule)
        except ClientError as error:
            # Another task was quicker, with the same time or one as good.
            if error_code(error) != "ConflictException":
                raise

    def _forget(self, name: str) -> None:
        try:
            self._client().delete_schedule(Name=name)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise

    def _client(self) -> Any:
        return self.sessions.own("scheduler")
