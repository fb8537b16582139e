"""A job with a presigned URL: whether its role is taken, and how a name with `+` is encoded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from infra import names
from infra.aws_check.leftovers import code
from infra.aws_check.rows import answered, unanswered
from infra.local.cloud.limits.counts import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.aws_check.rows import Outcome
    from infra.aws_check.sandbox import Sandbox

_FILE: Final = "a+b.bin"
_ENCODED: Final = "a%2Bb.bin"
_TARGETS: Final = next(row for row in COUNTS if row.id == "targets-of-a-job")


def presigned(sandbox: Sandbox) -> Mapping[str, Outcome]:
    """Make a job as the service does and ask for its document as a device does."""
    iot: Any = sandbox.calls.client("iot")
    thing, job = sandbox.thing(), f"{names.thing_prefix(sandbox.tenant)}check"
    # No such bucket: signing asks S3 nothing.
    address = f"https://s3.{sandbox.calls.region}.amazonaws.com/{sandbox.bucket}/{_ENCODED}"
    document = wire.DownloadDocument(
        name=_FILE,
        size=1,
        sha256="0" * 64,
        etag='"0"',
        url=f"${{aws:iot:s3-presigned-url-v2:{address}}}",
    )
    sandbox.leftovers.expect(f"job {job}", lambda: iot.delete_job(jobId=job, force=True))
    iot.create_job(
        jobId=job,
        targets=[sandbox.arns.iot(f"thing/{thing}")],
        document=document.encode(),
        presignedUrlConfig={"roleArn": sandbox.role(), "expiresInSec": 60},
        tags=sandbox.tags,
    )
    sandbox.waiting.pause(5)
    execution: Any = sandbox.calls.client("iot-jobs-data").describe_job_execution(
        jobId=job, thingName=thing, includeJobDocument=True
    )["execution"]
    signed = urlsplit(json.loads(execution["jobDocument"])["url"])
    if "X-Amz-Signature=" not in signed.query:
        reason = unanswered("the document came without a signed URL")
        return dict.fromkeys(("job-role", "plus-in-placeholder"), reason)
    name = signed.path.rpartition("/")[2]
    return {
        "job-role": answered(holds=True, answer="a URL was signed"),
        "plus-in-placeholder": answered(name == _ENCODED, f"the URL's path ends in `{name}`"),
    }


def error_codes(sandbox: Sandbox) -> Outcome:
    """Ask for a job with one target too many; it is not made."""
    targets = [
        sandbox.arns.iot(f"thing/{names.thing_prefix(sandbox.tenant)}none-{number}")
        for number in range(_TARGETS.figure + 1)
    ]
    job = f"{names.thing_prefix(sandbox.tenant)}many"
    iot: Any = sandbox.calls.client("iot")
    try:
        iot.create_job(jobId=job, targets=targets, document="{}")
    except ClientError as error:
        said = code(error)
        words = f"{len(targets)} targets of a job: {said}, here {_TARGETS.code}; others not asked"
        return answered(said == _TARGETS.code, words)
    sandbox.leftovers.expect(f"job {job}", lambda: iot.delete_job(jobId=job, force=True))
    return answered(holds=False, answer=f"a job with {len(targets)} targets was made")
