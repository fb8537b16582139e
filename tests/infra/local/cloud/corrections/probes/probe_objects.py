"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
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


def forms_are_signed(probed: ProbedCloud) -> bool:
    """A form that nobody signed puts an object into a bucket."""
    s3 = probed.cloud.client("s3")
    place = {"CreateBucketConfiguration": {"LocationConstraint": probed.cloud.region}}
    s3.create_bucket(Bucket="forms", **place)
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\nx\r\n'
        for name, more in (("key", ""), ("file", '; filename="x"'))
    )
    request = urllib.request.Request(  # noqa: S310 - of the cloud on loopback
        f"{probed.cloud.endpoint_url}/forms",
        data=f"{body}--b--\r\n".encode(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request):  # noqa: S310 - see above
        pass
    return s3.list_objects_v2(Bucket="forms")["KeyCount"] > 0
