"""Files of a tenant as they stood at a moment, by the versions that its bucket keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from infra.commands.account import Account

_COPIED_BYTES: Final = 5 * 1024**3  # source: S3 API reference, CopyObject: "up to 5 GB"


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A file that is not as it was.

    Attributes:
        key: in the bucket.
        version: id of the version that it had at the moment.
        bytes: of that version.
        marks: ids of delete markers above it, if nothing else is: without them it is back, under
            the same version id, which downloads and the API's rows name.
    """

    key: str
    version: str
    bytes: int
    marks: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """`deleted` or `replaced`, since the moment."""
        return "deleted" if self.marks else "replaced"


def lost(account: Account, bucket: str, at: datetime) -> Iterator[Lost]:
    """Each file that stood at the moment and stands otherwise now; all versions are read.

    A version that is older than the tenant's `artifact_days` and was replaced is gone for good.

    Args:
        account: where the bucket is.
        bucket: its name.
        at: with an offset; S3 notes seconds.
    """
    histories: dict[str, list[dict[str, Any]]] = {}
    pages = account.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    for page in pages:
        for one in page.get("Versions", []):
            histories.setdefault(one["Key"], []).append({**one, "is_mark": False})
        for one in page.get("DeleteMarkers", []):
            histories.setdefault(one["Key"], []).append({**one, "is_mark": True})
    for key, history in sorted(histories.items()):
        # The latest first, as S3 lists each kind; it alone says which that is.
        history.sort(key=lambda one: (one["IsLatest"], one["LastModified"]), reverse=True)
        stood = next((one for one in history if one["LastModified"] <= at), None)
        if stood is None or stood["is_mark"] or stood["IsLatest"]:
            continue
        above = history[: history.index(stood)]
        marks = tuple(one["VersionId"] for one in above)
        deleted = all(one["is_mark"] for one in above)
        yield Lost(
            key=key,
            version=stood["VersionId"],
            bytes=stood["Size"],
            marks=marks if deleted else (),
        )


def bring_back(account: Account, bucket: str, one: Lost) -> bool:
    """Make a file what it was; false: it is too large to be copied, and stays.

    A deleted one loses its delete markers; of a replaced one the old version is copied on top, with
    its metadata, under a version id of its own. No version is deleted.
    """
    s3 = account.client("s3")
    if one.marks:
        for mark in one.marks:
            s3.delete_object(Bucket=bucket, Key=one.key, VersionId=mark)
        return True
    if one.bytes > _COPIED_BYTES:
        return False
    source = {"Bucket": bucket, "Key": one.key, "VersionId": one.version}
    s3.copy_object(Bucket=bucket, Key=one.key, CopySource=source)
    return True
