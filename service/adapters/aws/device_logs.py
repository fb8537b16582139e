"""Logs of devices in the tenant's bucket: S3 takes each by a form that the tenant's role signs.

A presigned PUT would not bound what is sent; a form's policy does (``content-length-range``; docs:
Amazon S3 API reference, "POST Policy").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from cedarfleet_device import wire

from service.adapters.aws.client.failures import asks
from service.adapters.aws.cursors import seal, token_of
from service.domain.device_logs import DeviceLog, LogPage, command_of, log_folder

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant

_BUCKET: Final = "the tenant's bucket"


@dataclass(frozen=True, kw_only=True)
class S3DeviceLogs:
    """Answers ``ports.DeviceLogs`` with the tenant's own session."""

    aws: AwsDoor

    @asks(_BUCKET)
    async def sign_upload(self, tenant: Tenant, key: str, *, seconds: int) -> wire.LogUpload:
        url, fields = await self.aws.tenant(tenant, "s3").form(
            bucket=tenant.bucket, key=key, most_bytes=wire.MAX_LOGS_BYTES, seconds=seconds
        )
        return wire.LogUpload(url=url, fields=fields, max_bytes=wire.MAX_LOGS_BYTES)

    @asks(_BUCKET)
    async def page(
        self, tenant: Tenant, device_id: str, *, limit: int, cursor: str | None, url_seconds: int
    ) -> LogPage:
        scope = f"logs:{tenant.id}:{device_id}"
        after = {} if cursor is None else {"StartAfter": token_of(scope, cursor)}
        answer = await self.aws.tenant(tenant, "s3").call(
            "ListObjectsV2",
            Bucket=tenant.bucket,
            Prefix=log_folder(device_id),
            MaxKeys=limit,
            EncodingType="url",
            ExpectedBucketOwner=tenant.account_id,
            **after,
        )
        # XML cannot carry each key that S3 takes (S3 API reference, ListObjectsV2: EncodingType).
        objects: list[dict[str, Any]] = [
            {**one, "Key": unquote(one["Key"])} for one in answer.get("Contents", [])
        ]
        logs = [await self._log(tenant, device_id, one, url_seconds) for one in objects]
        last = objects[-1]["Key"] if answer["IsTruncated"] else None
        return LogPage(logs=tuple(filter(None, logs)), cursor=seal(scope, last))

    async def _log(
        self, tenant: Tenant, device_id: str, one: dict[str, Any], seconds: int
    ) -> DeviceLog | None:
        command_id = command_of(device_id, one["Key"])
        if command_id is None:
            return None
        name = f"{device_id}-{command_id}.jsonl.gz"
        url, until = await self.aws.tenant(tenant, "s3").presigned(
            "GetObject",
            seconds=seconds,
            Bucket=tenant.bucket,
            Key=one["Key"],
            # What a device wrote is shown by no browser.
            ResponseContentDisposition=f'attachment; filename="{name}"',
            ResponseContentType="application/gzip",
        )
        return DeviceLog(
            command_id=command_id,
            size=one["Size"],
            received_at=one["LastModified"].timestamp(),
            url=url,
            until=until,
        )
