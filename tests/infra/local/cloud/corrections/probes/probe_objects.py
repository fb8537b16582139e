"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud


def version_is_read_in_ranges(probed: ProbedCloud) -> bool:
    """A range of a version is the whole of it, or not that of this version."""
    s3 = probed.cloud.client("s3")
    place = {"CreateBucketConfiguration": {"LocationConstraint": probed.cloud.region}}
    s3.create_bucket(Bucket="ranges", **place)
    s3.put_bucket_versioning(Bucket="ranges", VersioningConfiguration={"Status": "Enabled"})
    versions = [
        s3.put_object(Bucket="ranges", Key="one", Body=body)["VersionId"]
        for body in (b"former", b"latter")
    ]
    got = s3.get_object(Bucket="ranges", Key="one", VersionId=versions[0], Range="bytes=1-3")
    return (got["ResponseMetadata"]["HTTPStatusCode"], got["Body"].read()) != (206, b"orm")
