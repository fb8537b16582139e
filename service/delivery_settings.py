"""What the operator may set of deliveries: direct messages, work queue, jobs; see ``settings``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from service.errors import ConfigurationError
from service.variables import Variable


@dataclass(frozen=True, kw_only=True)
class DirectMessageSettings:
    """Commands that are sent to a connected device and nobody else.

    Attributes:
        confirm_seconds: how long a device may take to say that it has a command durably, before the
            command is published beside. AWS takes 1 to 15 (source: AWS IoT API reference,
            "SendDirectMessage"). A device says so within a disk's flush and a network's way, well
            below a second; who waits is a person, and a thread.
        at_once: commands that may wait for their devices' word; more are published without waiting,
            so that slow devices take no thread from anybody else.
    """

    confirm_seconds: Annotated[int, Variable("CEDARFLEET_DIRECT_CONFIRM_SECONDS", 1, 15)] = 3
    at_once: Annotated[int, Variable("CEDARFLEET_DIRECT_AT_ONCE", 1, 512)] = 32


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """The work queue, the worker that empties it, and the timers that fill it again.

    Attributes:
        queue_url: of the SQS queue.
        timer_role_arn: with which a timer sends to the queue; the worker alone sets timers.
        at_once: messages that a task handles at a time.
        handling_seconds: after which a message that is not done is given to another task.
    """

    queue_url: Annotated[
        str,
        Variable(
            "CEDARFLEET_WORK_QUEUE_URL", remedy="give the platform stack's output `work_queue`"
        ),
    ]
    timer_role_arn: Annotated[str, Variable("CEDARFLEET_TIMER_ROLE_ARN")] = ""
    at_once: Annotated[int, Variable("CEDARFLEET_WORK_AT_ONCE", 1, 10)] = 10
    handling_seconds: Annotated[int, Variable("CEDARFLEET_WORK_HANDLING_SECONDS", 1, 43_200)] = 60

    def __post_init__(self) -> None:
        """Refuse what is no queue's URL.

        Raises:
            ConfigurationError: it does not end in account and name.
        """
        if self.queue_url.count("/") < 4:  # noqa: PLR2004 - https://host/account/name
            raise ConfigurationError(
                "CEDARFLEET_WORK_QUEUE_URL must be like"
                " `https://sqs.<region>.amazonaws.com/<account>/<name>`"
            )

    def queue_arn(self, region: str) -> str:
        """The queue as a timer's target names it."""
        account, name = self.queue_url.rsplit("/", 2)[1:]
        return f"arn:aws:sqs:{region}:{account}:{name}"


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Jobs that deliver files.

    Attributes:
        url_ttl_seconds: life of each presigned URL; a device asks the job again for a fresh one.
        device_timeout_minutes: from a device's start of a download to its end; then it is timed
            out. A week, as long as a device waits for the line (``unreachable_seconds`` of its
            file), so that a site's outage fails no rollout; AWS IoT takes 1 to 10080 (source: its
            API reference, "TimeoutConfig").
        devices_per_minute: rollout speed of a download, whatever the number of its jobs.
        download_days: how long a download waits for devices that are away.
        jobs_per_second: that are made, asked or canceled, by all tasks together; as many more may
            come at once after a pause. AWS answers 10 a second of each in an account (source: AWS
            IoT Device Management, "endpoints and quotas").
    """

    url_ttl_seconds: Annotated[int, Variable("CEDARFLEET_URL_TTL_SECONDS", 60, 3600)] = 3600
    device_timeout_minutes: Annotated[int, Variable("CEDARFLEET_DEVICE_TIMEOUT_MINUTES")] = 10_080
    devices_per_minute: Annotated[int, Variable("CEDARFLEET_DEVICES_PER_MINUTE", 1, 10_000)] = 100
    download_days: Annotated[int, Variable("CEDARFLEET_DOWNLOAD_DAYS", 1, 60)] = 30
    jobs_per_second: Annotated[int, Variable("CEDARFLEET_JOBS_PER_SECOND", 1, 5)] = 5
