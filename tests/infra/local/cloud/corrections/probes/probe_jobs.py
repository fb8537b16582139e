"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probed_cloud import ProbedCloud


def signed_url_names_the_version(probed: ProbedCloud) -> bool:
    """A device gets what lies in the bucket by now, or nothing, not the version of its job."""
    s3, iot, iam = (probed.cloud.client(name) for name in ("s3", "iot", "iam"))
    bucket, key = "versioned-files", "a+b.bin"
    place = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"first")["VersionId"]
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}}
    reads = {"Effect": "Allow", "Action": "s3:GetObjectVersion"}
    role = iam.create_role(
        RoleName="version-presign", AssumeRolePolicyDocument=_document(trust, "sts:AssumeRole")
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="version-presign",
        PolicyName="read",
        PolicyDocument=_document({**reads, "Resource": f"arn:aws:s3:::{bucket}/*"}),
    )
    iot.create_thing(thingName="acme--versioned")
    address = f"https://s3.eu-central-1.amazonaws.com/{bucket}/a%2Bb.bin%3FversionId%3D{version}"
    iot.create_job(
        jobId="acme--versioned",
        targets=[f"{probed.arn}:thing/acme--versioned"],
        document=json.dumps({"url": f"${{aws:iot:s3-presigned-url-v2:{address}}}"}),
        presignedUrlConfig={"roleArn": role, "expiresInSec": 60},
    )
    s3.put_object(Bucket=bucket, Key=key, Body=b"second")
    execution = probed.cloud.client("iot-jobs-data").describe_job_execution(
        jobId="$next", thingName="acme--versioned", includeJobDocument=True
    )["execution"]
    url: str = json.loads(execution["jobDocument"])["url"]
    return httpx.get(url, trust_env=False).content != b"first"


def waiting_jobs_are_found_by_name(probed: ProbedCloud) -> bool:
    """A question about one device looks at what every other device has to do."""
    iot, thing = probed.cloud.client("iot"), "acme--waiting"
    iot.create_thing(thingName=thing)
    for number in range(2):
        iot.create_job(
            jobId=f"acme--waiting-{number}", targets=[f"{probed.arn}:thing/{thing}"], document="{}"
        )
    # The emulator imports a service at its first request, which the thing was.
    emulated: Any = sys.modules["ministack.services.iot"]
    executions, seen = emulated._job_executions, 0

    class Watched(type(executions)):  # type: ignore[misc] - the emulator is untyped
        """The same executions, and who looks at them all."""

        def values(self) -> Any:
            nonlocal seen
            asker = sys._getframe(1)
            if asker.f_code.co_name == "jobs_pending_for_thing":  # other probes ask meanwhile
                seen += asker.f_locals["thing_name"] == thing
            return super().values()

    watched = Watched()
    watched._data = executions._data
    emulated._job_executions = watched
    try:
        jobs = probed.cloud.client("iot-jobs-data")
        given = jobs.get_pending_job_executions(thingName=thing)["queuedJobs"]
    finally:
        emulated._job_executions = executions
    if [one["jobId"] for one in given] != ["acme--waiting-0", "acme--waiting-1"]:
        raise AssertionError(given)
    return seen > 0


def details_are_of_their_form(probed: ProbedCloud) -> bool:
    """A device tells of a job what AWS would refuse to keep; what it takes is refused."""
    iot, thing = probed.cloud.client("iot"), "acme--telling"
    jobs = probed.cloud.client("iot-jobs-data")
    iot.create_thing(thingName=thing)
    iot.create_job(jobId=thing, targets=[f"{probed.arn}:thing/{thing}"], document="{}")

    def takes(details: dict[str, str]) -> bool:
        try:
            jobs.update_job_execution(
                jobId=thing, thingName=thing, status="IN_PROGRESS", statusDetails=details
            )
        except ClientError as error:
            # Refused for another reason: the probe itself is wrong.
            if "InvalidRequestException" not in str(error):
                raise
            return False
        return True

    if not takes({"reason": "at 20 °C, 温度, " + "x" * 1000}):
        raise AssertionError("what is right is refused")
    odd = ({"a": "a\nb"}, {"a": "a\u200db"}, {"a": "\ue000"}, {"a": "x" * 1025}, {"a b": "c"})
    return sum(takes(details) for details in odd) > 0


def _document(statement: Mapping[str, object], action: str | None = None) -> str:
    made = {**statement, "Action": action} if action else statement
    return json.dumps({"Version": "2012-10-17", "Statement": [made]})
