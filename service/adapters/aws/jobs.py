"""Jobs that deliver files, as AWS IoT Jobs makes, cancels and knows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.downloads import OUTCOMES, Outcome
from service.domain.files import file_key
from service.domain.instants import milliseconds
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.downloads import DeliveryJob, DownloadRecord
    from service.domain.tenants import Tenant
    from service.settings import JobSettings

_JOBS: Final = "the jobs service"
_MOST_A_MINUTE: Final = 1000  # devices of one job (source: IoT API reference, maximumPerMinute)
_ENDS: Final = {state.upper(): state for state in OUTCOMES}
_PAGE: Final = 250  # (source: IoT API reference, ListJobExecutionsForJob, maxResults)


@dataclass(frozen=True, kw_only=True)
class IotDownloadJobs:
    """Answers ``ports.DownloadJobs`` with AWS IoT Jobs."""

    aws: AwsDoor
    settings: JobSettings

    @asks(_JOBS)
    async def make(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> None:
        document = wire.DownloadDocument(
            name=record.artifact,
            size=record.size,
            sha256=record.sha256,
            etag=record.etag,
            url=_placeholder(tenant, record),
            manifest=record.manifest,
        )
        rate = min(self.settings.devices_per_minute, _MOST_A_MINUTE)
        try:
            # Without a threshold of its own: too many failures of all jobs together stop them all.
            await self.aws.tenant(tenant, "iot").call(
                "CreateJob",
                jobId=job.id_in(record),
                targets=_target_arns(tenant, job),
                document=document.encode(),
                presignedUrlConfig={
                    "roleArn": tenant.presign_role_arn,
                    "expiresInSec": self.settings.url_ttl_seconds,
                },
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": self.settings.device_timeout_minutes},
                jobExecutionsRolloutConfig={"maximumPerMinute": rate},
            )
        except AwsRefusalError as error:
            if error.code == "ResourceNotFoundException":
                raise ConflictError(f"a device of job `{job.id_in(record)}` is gone") from error
            # A job that exists is ours, from an attempt that was not confirmed.
            if error.code != "ResourceAlreadyExistsException":
                raise

    @asks(_JOBS)
    async def cancel(self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob) -> bool:
        try:
            # Without `force`: a device that is at it may end it (source: IoT API reference).
            await self.aws.tenant(tenant, "iot").call(
                "CancelJob",
                jobId=job.id_in(record),
                comment=f"the download was {record.closing}",
            )
        except AwsRefusalError as error:
            if error.code == "ResourceNotFoundException":
                return False
            # It has ended by itself, or was canceled before.
            if error.code != "InvalidRequestException":
                raise
        return True

    @asks(_JOBS)
    async def outcomes(
        self, tenant: Tenant, record: DownloadRecord, job: DeliveryJob
    ) -> Mapping[str, Outcome | None]:
        try:
            page = await self.aws.tenant(tenant, "iot").call(
                "ListJobExecutionsForJob", jobId=job.id_in(record), maxResults=_PAGE
            )
        except AwsRefusalError as error:
            if error.code == "ResourceNotFoundException":
                return {}
            raise
        known: dict[str, Outcome | None] = {}
        for summary in page["executionSummaries"]:
            execution = summary["jobExecutionSummary"]
            try:
                owner, device = wire.split_thing_name(summary["thingArn"].rpartition("/")[2])
            except ValueError:
                continue
            # Fail closed: of another tenant's device nothing is told.
            if owner != tenant.id:
                continue
            at = execution.get("lastUpdatedAt")
            state = _ENDS.get(execution["status"])
            # Of a status that we do not know nobody can say that it has ended.
            known[device] = (
                None
                if state is None
                else Outcome(state=state, at=0 if at is None else milliseconds(at))
            )
        return known

    @asks(_JOBS)
    async def waiting(self, tenant: Tenant, device_id: str) -> Sequence[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        # One status at a time: the operation takes no more (source: its API reference).
        for status in ("QUEUED", "IN_PROGRESS"):
            more: dict[str, str] = {}
            while True:
                page = await self.aws.tenant(tenant, "iot").call(
                    "ListJobExecutionsForThing",
                    thingName=wire.thing_name(tenant.id, device_id),
                    status=status,
                    maxResults=_PAGE,
                    **more,
                )
                names = (summary["jobId"] for summary in page["executionSummaries"])
                # Jobs of the platform, as a move to another cell, are not ours to end.
                found += [job for name in names if (job := _job_of(tenant, name)) is not None]
                if not page.get("nextToken"):
                    break
                more = {"nextToken": page["nextToken"]}
        return found

    @asks(_JOBS)
    async def withdraw(
        self, tenant: Tenant, device_id: str, job: tuple[str, str], *, why: str
    ) -> None:
        download_id, mark = job
        try:
            await self.aws.tenant(tenant, "iot").call(
                "CancelJobExecution",
                jobId=f"{tenant.id}--{download_id}-{mark}",
                thingName=wire.thing_name(tenant.id, device_id),
                # Also of a device that is at it (source: IoT API reference, CancelJobExecution).
                force=True,
                statusDetails={"reason": why},
            )
        except AwsRefusalError as error:
            # It has ended by itself, or with its thing.
            if error.code not in {"InvalidStateTransitionException", "ResourceNotFoundException"}:
                raise


def _job_of(tenant: Tenant, name: str) -> tuple[str, str] | None:
    """Download and mark of a job's id (``DeliveryJob.id_in``); ``None``: it is no such job."""
    job = rf"{re.escape(tenant.id)}--([0-9A-HJKMNP-TV-Z]{{26}})-([0-9]{{2}}(?:r[0-9]{{2}})?)"
    found = re.fullmatch(job, name)
    return None if found is None else (found[1], found[2])


def _placeholder(tenant: Tenant, record: DownloadRecord) -> str:
    """What IoT Jobs replaces by a signed URL of the version that was asked for, for each device.

    An upload under the same name meanwhile changes nothing for those that wait. Encoded, as the
    placeholder's second form wants it (source: AWS IoT developer guide, "Managing jobs": presigned
    URL using Amazon S3 versioning).
    """
    key = quote(file_key(record.file_id) if record.file_id else record.artifact)
    version = f"%3FversionId%3D{quote(record.version, safe='')}" if record.version else ""
    address = f"https://s3.{tenant.region}.amazonaws.com/{tenant.bucket}/{key}{version}"
    return f"${{aws:iot:s3-presigned-url-v2:{address}}}"


def _target_arns(tenant: Tenant, job: DeliveryJob) -> list[str]:
    """The job's targets, at most 100.

    Built from the verified tenant alone: IAM would refuse another's, but is not relied on.
    """
    things = (wire.thing_name(tenant.id, device) for device in job.members)
    return [f"arn:aws:iot:{tenant.region}:{tenant.account_id}:thing/{thing}" for thing in things]
