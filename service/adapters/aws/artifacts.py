"""Files of a tenant's S3 bucket, with the SHA-256 that a device verifies."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from service.adapters.aws.client.calls import error_code
from service.domain.artifacts import Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class S3Artifacts:
    """Answers ``ports.Artifacts`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions

    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        head = await self.calls.run("the tenant's bucket", self._head, tenant, name)
        if head is None:
            return None
        return Artifact(
            tenant=tenant.id,
            name=name,
            size=head["ContentLength"],
            sha256=_sha256(head),
            etag=head["ETag"],
            version=head.get("VersionId"),
        )

    def _head(self, tenant: Tenant, name: str) -> dict[str, Any] | None:
        try:
            return self.sessions.tenant(tenant, "s3").head_object(
                Bucket=tenant.bucket,
                Key=name,
                ChecksumMode="ENABLED",
                ExpectedBucketOwner=tenant.account_id,
            )
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                return None
            raise


def _sha256(head: Mapping[str, Any]) -> str | None:
    """S3's own checksum of the whole object, else what the uploader wrote into the metadata.

    A ``COMPOSITE`` checksum is of the parts' checksums, not of the file (docs: S3 "Checking object
    integrity").
    """
    checksum = head.get("ChecksumSHA256")
    if (
        checksum is not None
        and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        and "-" not in checksum
    ):
        return base64.b64decode(checksum).hex()
    written = head.get("Metadata", {}).get("sha256", "")
    return written if _SHA256.fullmatch(written) else None
