"""Downloads: our own record in DynamoDB, and the AWS IoT Job that delivers the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.calls import error_code
from service.adapters.aws.cursors import seal, unseal
from service.adapters.aws.replays import create_once
from service.domain.commands import RecordState
from service.domain.devices import DeviceGroup
from service.domain.downloads import (
    Delivery,
    DeliveryState,
    DownloadProgress,
    DownloadRecord,
    TargetKind,
    whole_state,
)
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from service.adapters.aws.calls import AwsCalls
    from service.adapters.aws.sessions import AwsSessions
    from service.domain.records import ReplayKey
    from service.domain.tenants import Tenant

_TABLE: Final = "the commands table"
_JOBS: Final = "the jobs service"
_FAILED: Final = frozenset({DeliveryState.FAILED, DeliveryState.REJECTED, DeliveryState.TIMED_OUT})
_NUMBERS: Final = ("size", "created_at")
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
class DynamoDownloadRecords:
    """Answers ``ports.DownloadRecords``: rows ``<tenant>--download#<id>``, ``record`` of the commands table."""

    calls: AwsCalls
    sessions: AwsSessions
    table: str
    keep_seconds: int

    async def create(self, tenant: Tenant, record: DownloadRecord, replay: ReplayKey | None) -> DownloadRecord:
        """See ``ports.DownloadRecords``."""
        return await self.calls.run(_TABLE, self._create, tenant, record, replay)

    async def settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        """See ``ports.DownloadRecords``."""
        await self.calls.run(_TABLE, self._settle, tenant, record)

    async def read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        """See ``ports.DownloadRecords``."""
        return await self.calls.run(_TABLE, self._read, tenant, download_id)

    def _create(self, tenant: Tenant, record: DownloadRecord, replay: ReplayKey | None) -> DownloadRecord:
        ttl = {"N": str(record.created_at // 1000 + self.keep_seconds)}
        made = create_once(
            self.sessions.tenant(tenant, "dynamodb"),
            table=self.table,
            items=[{**_key(tenant, record.download_id), **_columns(record), "ttl": ttl}],
            made=record.download_id,
            now_ms=record.created_at,
            replay=replay,
        )
        earlier = self._read(tenant, made) if made != record.download_id else None
        return earlier or record

    def _settle(self, tenant: Tenant, record: DownloadRecord) -> None:
        self.sessions.tenant(tenant, "dynamodb").update_item(
            TableName=self.table,
            Key=_key(tenant, record.download_id),
            UpdateExpression="SET #state = :state, failure = :failure",
            ConditionExpression="attribute_exists(thing)",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":state": {"S": str(record.state)}, ":failure": {"S": record.failure or ""}},
        )

    def _read(self, tenant: Tenant, download_id: str) -> DownloadRecord | None:
        client = self.sessions.tenant(tenant, "dynamodb")
        item = client.get_item(TableName=self.table, Key=_key(tenant, download_id), ConsistentRead=True).get("Item")
        return None if item is None else _record(tenant, item)


@dataclass(frozen=True, kw_only=True)
class IotDownloadJobs:
    """Answers ``ports.DownloadJobs`` with AWS IoT Jobs.

    Attributes:
        url_ttl_seconds: life of each presigned URL, 60 to 3,600; a device asks the job again for a fresh one.
        device_timeout_minutes: from a device's start to its end, else it is timed out.
        devices_per_minute: a group's rollout speed.
    """

    calls: AwsCalls
    sessions: AwsSessions
    url_ttl_seconds: int
    device_timeout_minutes: int
    devices_per_minute: int

    async def start(self, tenant: Tenant, record: DownloadRecord) -> None:
        """See ``ports.DownloadJobs``."""
        await self.calls.run(_JOBS, self._start, tenant, record)

    async def progress(
        self, tenant: Tenant, record: DownloadRecord, *, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        """See ``ports.DownloadJobs``."""
        return await self.calls.run(_JOBS, self._progress, tenant, record, limit, cursor)

    def _start(self, tenant: Tenant, record: DownloadRecord) -> None:
        address = f"https://s3.{tenant.region}.amazonaws.com/{tenant.bucket}/{record.artifact}"
        document = wire.DownloadDocument(
            name=record.artifact,
            size=record.size,
            sha256=record.sha256,
            etag=record.etag,
            url=f"${{aws:iot:s3-presigned-url:{address}}}",
        )
        try:
            self.sessions.tenant(tenant, "iot").create_job(
                jobId=record.job_id,
                targets=[_target_arn(tenant, record)],
                document=document.encode(),
                presignedUrlConfig={"roleArn": tenant.presign_role_arn, "expiresInSec": self.url_ttl_seconds},
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": self.device_timeout_minutes},
                jobExecutionsRolloutConfig={"maximumPerMinute": self.devices_per_minute},
                abortConfig={"criteriaList": [_ABORT]},
            )
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":  # ours, from an attempt that was not confirmed
                raise

    def _progress(
        self, tenant: Tenant, record: DownloadRecord, limit: int, cursor: str | None
    ) -> DownloadProgress | None:
        client = self.sessions.tenant(tenant, "iot")
        scope = f"download:{record.job_id}"
        token = unseal(scope, cursor)
        try:
            job = client.describe_job(jobId=record.job_id)["job"]
            page = client.list_job_executions_for_job(
                jobId=record.job_id, maxResults=limit, **({"nextToken": token} if token else {})
            )
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return None
            if token and error_code(error) == "InvalidRequestException":
                raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page") from error
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
        client: Any,  # noqa: ANN401 - boto3 makes its clients at run time
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
        if owner != tenant.id:  # fail closed: never show another tenant's device
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


def _target_arn(tenant: Tenant, record: DownloadRecord) -> str:
    """The job's target, built from the verified tenant alone: IAM is the second wall, not the first."""
    if record.target_kind is TargetKind.DEVICE:
        resource = f"thing/{wire.thing_name(tenant.id, record.target)}"
    else:
        resource = f"thinggroup/{DeviceGroup(tenant=tenant.id, id=record.target).thing_group}"
    return f"arn:aws:iot:{tenant.region}:{tenant.account_id}:{resource}"


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp() * 1000)


def _key(tenant: Tenant, download_id: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--download#{download_id}"}, "sk": {"S": "record"}}


def _columns(record: DownloadRecord) -> dict[str, Any]:
    texts = {
        "download_id": record.download_id,
        "target_kind": str(record.target_kind),
        "target": record.target,
        "artifact": record.artifact,
        "sha256": record.sha256,
        "etag": record.etag,
        "created_by": record.created_by,
        "state": str(record.state),
        "failure": record.failure or "",
        "emergency_reason": record.emergency_reason or "",
    }
    numbers = {name: {"N": str(getattr(record, name))} for name in _NUMBERS}
    return {**{name: {"S": text} for name, text in texts.items()}, **numbers}


def _record(tenant: Tenant, item: Mapping[str, Any]) -> DownloadRecord:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return DownloadRecord(
        download_id=text["download_id"],
        tenant=tenant.id,
        target_kind=TargetKind(text["target_kind"]),
        target=text["target"],
        artifact=text["artifact"],
        size=int(item["size"]["N"]),
        sha256=text["sha256"],
        etag=text["etag"],
        created_by=text["created_by"],
        created_at=int(item["created_at"]["N"]),
        state=RecordState(text["state"]),
        failure=text["failure"] or None,
        emergency_reason=text["emergency_reason"] or None,
    )
