"""Files of a tenant's S3 bucket, with the SHA-256 that a device verifies."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import Signed

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.artifacts import Artifact
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class S3Artifacts:
    """Answers ``ports.Artifacts`` with the tenant's own session."""

    aws: AwsDoor

    @asks("the tenant's bucket")
    async def find(self, tenant: Tenant, name: str) -> Artifact | None:
        head = await self._head(tenant, name)
        if head is None:
            return None
        return Artifact(
            tenant=tenant.id,
            name=name,
            size=head["ContentLength"],
            sha256=_sha256(head),
            etag=head["ETag"],
            version=head.get("VersionId"),
            manifest=_manifest(name, head),
        )

    async def _head(self, tenant: Tenant, name: str) -> dict[str, Any] | None:
        try:
            return await self.aws.tenant(tenant, "s3").call(
                "HeadObject",
                Bucket=tenant.bucket,
                Key=name,
                ChecksumMode="ENABLED",
                ExpectedBucketOwner=tenant.account_id,
            )
        except AwsRefusalError as error:
            if error.code in ("404", "NoSuchKey", "NotFound"):
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


def _manifest(name: str, head: Mapping[str, Any]) -> Signed | None:
    """What the maker wrote into the metadata by ``cedarfleet-sign``; the device judges it.

    Raises:
        ConflictError: what stands there is no manifest; without it the file would be another one.
    """
    written = head.get("Metadata", {}).get("manifest")
    if written is None:
        return None
    try:
        return Signed.of(json.loads(base64.b64decode(written, validate=True)))
    except (ValueError, RecursionError) as error:  # also WireError
        raise ConflictError(
            f"the metadata `manifest` of artifact `{name}` is not what `cedarfleet-sign metadata`"
            f" prints: {error}"
        ) from error
