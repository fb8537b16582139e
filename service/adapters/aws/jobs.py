"""Delivery of files as AWS IoT Jobs: one job per download, for things or for all of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.client.calls import error_code
from service.adapters.aws.cursors import seal, unsealed
from service.cedar.entities import ROOT_GROUP
from service.domain.downloads import (
    Delivery,
    DeliveryState,
    DownloadProgress,
    TargetKind,
    whole_state,
)
from service.domain.instants import milliseconds
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.downloads import DownloadRecord
    from service.domain.tenants import Tenant
    from service.settings import JobSettings

_JOBS: Final = "the jobs service"
_FAILED: Final = frozenset({DeliveryState.FAILED, DeliveryState.REJECTED, DeliveryState.TIMED_OUT})
_COUNTERS: Final = {
    "numberOfQueuedThings": DeliveryState.QUEUED,
    "numberOfInProgressThings": DeliveryState.IN_PROGRESS,
    "numberOfSucceededThings": DeliveryState.SUCCEEDED,
    "numberOfFailedThings": DeliveryState.FAILED,
    "numberOfRejectedThings": DeliveryState.REJECTED,
    "numberOfTimedOutThings": DeliveryState.TIMED_OUT,
    "numberOfRemovedThings": DeliveryState.REMOVED,
    "numberOfCanceledThings": DeliveryState.CANCELED,
}


@dataclass(frozen=True, kw_only=True)
class IotDownloadJobs:
    """Answers ``ports.DownloadJobs`` with AWS IoT Jobs."""

    calls: AwsCalls
    sessions: AwsSessions
    settings: JobSettings

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:
        await self.calls.run(_JOBS, self._start, tenant, record)

    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        return await self.calls.run(_JOBS, self._progress, tenant, record, limit, cursor)

    def _start(self, tenant: Tenant, record: DownloadRecord) -> None:
        document = wire.DownloadDocument(
            name=record.artifact,
            size=record.size,
            sha256=record.sha256,
            etag=record.etag,
            url=_placeholder(tenant, record),
        )
        try:
            self.sessions.tenant(tenant, "iot").create_job(
                jobId=record.job_id,
                targets=_target_arns(tenant, record),
                document=document.encode(),
                presignedUrlConfig={
                    "roleArn": tenant.presign_role_arn,
                    "expiresInSec": self.settings.url_ttl_seconds,
                },
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": self.settings.device_timeout_minutes},
                jobExecutionsRolloutConfig={"maximumPerMinute": self.settings.devices_per_minute},
                abortConfig={"criteriaList": [_ABORT]},
            )
        except ClientError as error:
            # A job that exists is ours, from an attempt that was not confirmed.
            if error_code(error) != "ResourceAlreadyExistsException":
                raise

    def _progress(
        self, tenant: Tenant, record: DownloadRecord, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        client = self.sessions.tenant(tenant, "iot")
        scope = f"download:{record.job_id}"
        try:
            job = client.describe_job(jobId=record.job_id)["job"]
            with unsealed(scope, cursor) as asked:
                page = client.list_job_executions_for_job(
                    jobId=record.job_id, maxResults=limit, **asked
                )
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            raise
        details = job.get("jobProcessDetails", {})
        counts = {state: details[name] for name, state in _COUNTERS.items() if details.get(name)}
        return DownloadProgress(
            state=whole_state(job["status"], counts),
            counts=counts,
            deliveries=tuple(
                delivery
                for summary in page["executionSummaries"]
                if (delivery := self._delivery(client, tenant, record, summary)) is not None
            ),
            cursor=seal(scope, page.get("nextToken")),
        )

    def _delivery(
        self,
        client: Any,
        tenant: Tenant,
        record: DownloadRecord,
        summary: Mapping[str, Any],
    ) -> Delivery | None:
        thing = summary["thingArn"].rpartition("/")[2]
        execution = summary["jobExecutionSummary"]
        try:
            owner, device = wire.split_thing_name(thing)
            state = DeliveryState(execution["status"].lower())
        except ValueError:
            return None
        # Fail closed: never show another tenant's device.
        if owner != tenant.id:
            return None
        detail: Mapping[str, str] = {}
        if state in _FAILED or record.target_kind is TargetKind.DEVICE:
            told = client.describe_job_execution(jobId=record.job_id, thingName=thing)["execution"]
            detail = told.get("statusDetails", {}).get("detailsMap", {})
        return Delivery(
            device=device,
            state=state,
            detail=detail,
            queued_at=_milliseconds(execution.get("queuedAt")),
            started_at=_milliseconds(execution.get("startedAt")),
            updated_at=_milliseconds(execution.get("lastUpdatedAt")),
            attempt=execution.get("executionNumber", 1),
        )


# Half of at least ten devices failed: stop the rollout before it reaches the rest.
_ABORT: Final = {
    "failureType": "FAILED",
    "action": "CANCEL",
    "thresholdPercentage": 50.0,
    "minNumberOfExecutedThings": 10,
}


def _placeholder(tenant: Tenant, record: DownloadRecord) -> str:
    """What IoT Jobs replaces by a signed URL of the version that was asked for, for each device.

    An upload under the same name meanwhile changes nothing for those that wait. Encoded, as the
    placeholder's second form wants it (source: AWS IoT developer guide, "Managing jobs": presigned
    URL using Amazon S3 versioning).
    """
    key = quote(record.artifact)
    version = f"%3FversionId%3D{quote(record.version, safe='')}" if record.version else ""
    address = f"https://s3.{tenant.region}.amazonaws.com/{tenant.bucket}/{key}{version}"
    return f"${{aws:iot:s3-presigned-url-v2:{address}}}"


def _target_arns(tenant: Tenant, record: DownloadRecord) -> list[str]:
    """The job's targets, at most 100.

    Built from the verified tenant alone: IAM would refuse another's, but is not relied on.

    Raises:
        ConflictError: the record names a group and none of its devices.
    """
    if record.target_kind is TargetKind.GROUP and not record.members:
        # Fail closed: release 0.1.0 recorded groups without their members, and began no job yet.
        if record.target != ROOT_GROUP:
            raise ConflictError(
                f"download `{record.download_id}` does not say which devices are in its group:"
                " ask for it anew"
            )
        resources = [f"thinggroup/{tenant.thing_group}"]
    else:
        devices = record.members or (record.target,)
        resources = [f"thing/{wire.thing_name(tenant.id, device)}" for device in devices]
    return [f"arn:aws:iot:{tenant.region}:{tenant.account_id}:{resource}" for resource in resources]


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else milliseconds(instant)
