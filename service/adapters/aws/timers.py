"""Work that waits for its time: one-time schedules of EventBridge Scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from service.adapters.aws.client.door import AwsDoor, Calls
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

    aws: AwsDoor
    settings: WorkSettings
    region: str

    @asks(_SCHEDULER)
    async def wake(self, name: str, at: datetime, work: Work) -> None:
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
            _set(await self._scheduler.call("UpdateSchedule", **schedule))
        except AwsRefusalError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await self._create(schedule)

    async def _create(self, schedule: dict[str, Any]) -> None:
        try:
            _set(await self._scheduler.call("CreateSchedule", **schedule))
        except AwsRefusalError as error:
            # Another task was quicker, with the same time or one as good.
            if error.code != "ConflictException":
                raise

    @asks(_SCHEDULER)
    async def forget(self, name: str) -> None:
        try:
            await self._scheduler.call("DeleteSchedule", Name=name)
        except AwsRefusalError as error:
            if error.code != "ResourceNotFoundException":
                raise

    @property
    def _scheduler(self) -> Calls:
        return self.aws.own("scheduler")


def _set(answer: Mapping[str, Any]) -> None:
    # Fail closed: only what has an ARN is set (source: EventBridge Scheduler API reference,
    # CreateSchedule and UpdateSchedule). Without its timer a rollout would wait for ever.
    _ = answer["ScheduleArn"]
