"""Objects of uploaded files in the tenant's bucket: uploads in parts, each of which S3 checks.

Each version has a key of its own, so nothing is ever written over; an object that is deleted stays
as a version that is not current for as long as the bucket's lifecycle says (`artifact_days`).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.files import SignedPart, StoredObject, file_key
from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.files import FileVersion, UploadPart
    from service.domain.tenants import Tenant

_BUCKET: Final = "the tenant's bucket"
_NO_UPLOAD: Final = "NoSuchUpload"
_CHECKSUM: Final = "x-amz-checksum-sha256"
# "Processing of a CompleteMultipartUpload request could take several minutes to finalize" (source:
# S3 API reference, CompleteMultipartUpload): what takes longer is found done later.
_ASSEMBLY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class S3FileObjects:
    """Answers ``ports.FileObjects`` with the tenant's own session."""

    aws: AwsDoor

    @asks(_BUCKET)
    async def begin(self, tenant: Tenant, file_id: str) -> str:
        answer = await self.aws.tenant(tenant, "s3").call(
            "CreateMultipartUpload",
            Bucket=tenant.bucket,
            Key=file_key(file_id),
            ChecksumAlgorithm="SHA256",
            ExpectedBucketOwner=tenant.account_id,
        )
        return answer["UploadId"]

    @asks(_BUCKET)
    async def sign(
        self, tenant: Tenant, file: FileVersion, parts: Sequence[UploadPart], *, seconds: int
    ) -> tuple[SignedPart, ...]:
        """Signed with length and digest: S3 takes these bytes by the URL and no others.

        Source: S3 user guide, "Download and upload objects with presigned URLs": one of Signature
        Version 4 supports SHA-256.
        """
        signed: list[SignedPart] = []
        for part in parts:
            digest = base64.b64encode(bytes.fromhex(part.sha256)).decode()
            url, until = await self.aws.tenant(tenant, "s3").presigned(
                "UploadPart",
                seconds=seconds,
                **_of(tenant, file),
                UploadId=file.upload,
                PartNumber=part.number,
                ContentLength=file.size_of(part.number),
                ChecksumSHA256=digest,
            )
            headers = ((_CHECKSUM, digest),)
            signed.append(SignedPart(number=part.number, url=url, headers=headers, until=until))
        return tuple(signed)

    @asks(_BUCKET)
    async def sizes(self, tenant: Tenant, file: FileVersion) -> dict[int, int]:
        try:
            return {part["PartNumber"]: part["Size"] for part in await self._parts(tenant, file)}
        except AwsRefusalError as error:
            if error.code != _NO_UPLOAD:
                raise
            return {}

    @asks(_BUCKET)
    async def assemble(self, tenant: Tenant, file: FileVersion) -> StoredObject | None:
        try:
            parts = [
                {name: part[name] for name in ("PartNumber", "ETag", "ChecksumSHA256")}
                for part in await self._parts(tenant, file)
            ]
            patient = self.aws.tenant(tenant, "s3", patience_seconds=_ASSEMBLY_SECONDS)
            answer = await patient.call(
                "CompleteMultipartUpload",
                **_owned(tenant, file),
                UploadId=file.upload,
                MultipartUpload={"Parts": parts},
            )
            # Fail closed: S3 may say 200 first and an error after it (source: S3 API reference,
            # CompleteMultipartUpload).
            if "ETag" not in answer:
                raise UnavailableError(_BUCKET)
        except AwsRefusalError as error:
            # It was put together before, by a task that died behind it, or it is no more.
            if error.code != _NO_UPLOAD:
                raise
        return await self._stored(tenant, file)

    @asks(_BUCKET)
    async def piece(self, tenant: Tenant, file: FileVersion, *, first: int, last: int) -> bytes:
        answer = await self.aws.tenant(tenant, "s3").call(
            "GetObject",
            **_owned(tenant, file),
            VersionId=file.version,
            ChecksumMode="ENABLED",
            Range=f"bytes={first}-{last}",
        )
        piece = bytes(answer["Body"])
        # Fail closed: a digest of other bytes than were asked for would say nothing.
        if len(piece) != last - first + 1:
            raise UnavailableError(_BUCKET)
        return piece

    @asks(_BUCKET)
    async def discard(self, tenant: Tenant, file: FileVersion) -> None:
        calls = self.aws.tenant(tenant, "s3")
        if not file.version:
            try:
                await calls.call(
                    "AbortMultipartUpload", **_owned(tenant, file), UploadId=file.upload
                )
            except AwsRefusalError as error:
                # It may have become an object meanwhile.
                if error.code != _NO_UPLOAD:
                    raise
            else:
                return
        # A mark on top: URLs of the version go on (source: S3 user guide, "Working with delete
        # markers").
        await calls.call("DeleteObject", **_owned(tenant, file))

    async def _stored(self, tenant: Tenant, file: FileVersion) -> StoredObject | None:
        try:
            head = await self.aws.tenant(tenant, "s3").call("HeadObject", **_owned(tenant, file))
        except AwsRefusalError as error:
            if error.code not in ("404", "NoSuchKey", "NotFound"):
                raise
            return None
        return StoredObject(
            version=head["VersionId"], etag=head["ETag"], size=head["ContentLength"]
        )

    async def _parts(self, tenant: Tenant, file: FileVersion) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            page = await self.aws.tenant(tenant, "s3").call(
                "ListParts", **_owned(tenant, file), UploadId=file.upload, **after
            )
            # Fail closed: who does not name the upload is not S3, and "no parts" would count.
            if page["UploadId"] != file.upload:
                raise UnavailableError(_BUCKET)
            parts += page.get("Parts", ())
            if not page.get("IsTruncated"):
                return parts
            after = {"PartNumberMarker": page["NextPartNumberMarker"]}


def _of(tenant: Tenant, file: FileVersion) -> dict[str, str]:
    return {"Bucket": tenant.bucket, "Key": file.key}


def _owned(tenant: Tenant, file: FileVersion) -> dict[str, str]:
    return {**_of(tenant, file), "ExpectedBucketOwner": tenant.account_id}
