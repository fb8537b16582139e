"""A download's job: what it is made of, and what is read of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.cursors import seal
from service.adapters.aws.jobs import IotDownloadJobs
from service.domain.downloads import Delivery, DeliveryState, DownloadRecord, TargetKind
from service.errors import ConflictError, InvalidRequestError
from service.settings import JobSettings
from tests.service.adapters.aws.answered_sessions import Refusal

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.domain.downloads import DownloadProgress
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_sessions import AnsweredSessions, Call

QUEUED = datetime(2026, 10, 1, 12, tzinfo=UTC)
RECORD = DownloadRecord(
    download_id="01JD0000000000000000000000",
    tenant="acme",
    target_kind=TargetKind.GROUP,
    target="line-press",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=1_790_000_000_000,
)


@pytest.fixture
def jobs(aws: AwsCalls, sessions: AnsweredSessions) -> IotDownloadJobs:
    """The adapter with an hour's URL, a day's timeout and 50 devices a minute."""
    settings = JobSettings(url_ttl_seconds=3600, device_timeout_minutes=1440, devices_per_minute=50)
    return IotDownloadJobs(calls=aws, sessions=sessions, settings=settings)


@pytest.mark.parametrize(
    ("record", "targets"),
    [
        (replace(RECORD, target="all"), ["thinggroup/acme"]),
        (replace(RECORD, members=("press-01", "b")), ["thing/acme--press-01", "thing/acme--b"]),
        (
            replace(RECORD, target_kind=TargetKind.DEVICE, target="press-07"),
            ["thing/acme--press-07"],
        ),
    ],
)
def test_a_job_is_for_exactly_its_targets(
    jobs: IotDownloadJobs,
    sessions: AnsweredSessions,
    acme: Tenant,
    record: DownloadRecord,
    targets: list[str],
) -> None:
    """A device, a group, or the members that were decided on; signed by the tenant's own role."""
    asyncio.run(jobs.start(acme, record))
    [call] = sessions.calls
    assert call.arguments["targets"] == [
        f"arn:aws:iot:eu-central-1:123456789012:{target}" for target in targets
    ]
    assert call.arguments["jobId"] == f"acme--{RECORD.download_id}"
    assert call.arguments["presignedUrlConfig"] == {
        "roleArn": acme.presign_role_arn,
        "expiresInSec": 3600,
    }
    assert call.arguments["timeoutConfig"] == {"inProgressTimeoutInMinutes": 1440}
    assert call.arguments["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 50}
    assert call.arguments["targetSelection"] == "SNAPSHOT"
    document = json.loads(call.arguments["document"])
    bucket = "https://s3.eu-central-1.amazonaws.com/acme-artifacts"
    assert document["url"] == f"${{aws:iot:s3-presigned-url-v2:{bucket}/recipes/steel.json}}"
    assert (document["size"], document["sha256"]) == (20, "ab" * 32)


def test_a_job_names_the_version_encoded(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """What AWS reads as a URL is encoded: `+` of a name, and the version's own characters."""
    asyncio.run(
        jobs.start(acme, replace(RECORD, target="all", artifact="r/a+b=@.bin", version="v/1+2="))
    )
    document = json.loads(sessions.calls[0].arguments["document"])
    bucket = "https://s3.eu-central-1.amazonaws.com/acme-artifacts"
    address = f"{bucket}/r/a%2Bb%3D%40.bin%3FversionId%3Dv%2F1%2B2%3D"
    assert document["url"] == f"${{aws:iot:s3-presigned-url-v2:{address}}}"


def test_a_group_without_its_members_gets_no_job(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """As 0.1.0 recorded it: it must not become a download to all devices."""
    with pytest.raises(ConflictError, match="ask for it anew"):
        asyncio.run(jobs.start(acme, RECORD))
    assert sessions.calls == []


def summary(thing: str, status: str, **members: Any) -> dict[str, Any]:
    """One device's line of the job."""
    arn = f"arn:aws:iot:eu-central-1:123456789012:thing/{thing}"
    return {"thingArn": arn, "jobExecutionSummary": {"status": status, **members}}


def read(
    jobs: IotDownloadJobs,
    sessions: AnsweredSessions,
    acme: Tenant,
    summaries: list[dict[str, Any]],
    *,
    record: DownloadRecord = RECORD,
    cursor: str | None = None,
) -> DownloadProgress:
    """What is made of these lines."""

    def answer(call: Call) -> dict[str, Any]:
        match call.operation:
            case "DescribeJob":
                counts = {"numberOfFailedThings": 1, "numberOfSucceededThings": 2}
                zero = {"numberOfQueuedThings": 0}
                return {"job": {"status": "COMPLETED", "jobProcessDetails": counts | zero}}
            case "DescribeJobExecution":
                told = {"detailsMap": {"reason": f"of {call.arguments['thingName']}"}}
                return {"execution": {"statusDetails": told}}
            case _:
                return {"executionSummaries": summaries, "nextToken": "next"}

    sessions.answer = answer
    progress = asyncio.run(jobs.progress(acme, record, limit=7, cursor=cursor))
    assert progress is not None
    return progress


def test_each_device_stands_as_its_execution_says(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """State, times and attempt of each; why, of each that failed; and where the next page is."""
    times = {
        "queuedAt": QUEUED,
        "startedAt": QUEUED,
        "lastUpdatedAt": QUEUED,
        "executionNumber": 3,
    }
    statuses = ("QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED")
    lines = [summary(f"acme--{status.lower()}", status, **times) for status in statuses]
    progress = read(jobs, sessions, acme, [*lines, summary("acme--new", "QUEUED")])
    at = 1_790_856_000_000
    with_reason = {"failed", "rejected", "timed_out"}
    assert progress.deliveries == (
        *(
            Delivery(
                device=status.lower(),
                state=DeliveryState(status.lower()),
                detail={"reason": f"of acme--{status.lower()}"}
                if status.lower() in with_reason
                else {},
                queued_at=at,
                started_at=at,
                updated_at=at,
                attempt=3,
            )
            for status in statuses
        ),
        Delivery(device="new", state=DeliveryState.QUEUED),
    )
    assert progress.state is DeliveryState.PARTLY_FAILED
    assert progress.counts == {DeliveryState.FAILED: 1, DeliveryState.SUCCEEDED: 2}
    assert progress.cursor == seal(f"download:{RECORD.job_id}", "next")
    listed = next(call for call in sessions.calls if call.operation == "ListJobExecutionsForJob")
    assert listed.arguments == {"jobId": RECORD.job_id, "maxResults": 7}


def test_a_device_of_its_own_tells_its_progress(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Of a download to one device the detail is read in every state."""
    one = replace(RECORD, target_kind=TargetKind.DEVICE, target="press-07")
    progress = read(jobs, sessions, acme, [summary("acme--press-07", "IN_PROGRESS")], record=one)
    assert [delivery.detail for delivery in progress.deliveries] == [
        {"reason": "of acme--press-07"}
    ]


def test_what_is_not_the_tenants_is_not_shown(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Another tenant's thing, a name of no device and a status of no known kind are left out."""
    lines = [
        summary("globex--pump-01", "SUCCEEDED"),
        summary("acme", "SUCCEEDED"),
        summary("acme--press-07", "MOVED_ON"),
        summary("acme--press-08", "SUCCEEDED"),
    ]
    progress = read(jobs, sessions, acme, lines)
    assert [delivery.device for delivery in progress.deliveries] == ["press-08"]


def test_a_page_is_asked_for_with_its_own_cursor(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """The token inside goes to AWS; a cursor of another download never does."""
    own = seal(f"download:{RECORD.job_id}", "page two")
    read(jobs, sessions, acme, [], cursor=own)
    assert sessions.calls[-1].arguments["nextToken"] == "page two"
    sessions.calls.clear()
    with pytest.raises(InvalidRequestError, match="cursor"):
        read(jobs, sessions, acme, [], cursor=seal("download:acme--other", "page two"))
    assert "nextToken" not in str(sessions.calls)


def test_a_missing_job_is_no_progress(
    jobs: IotDownloadJobs, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """AWS forgets a job two years after its end; whoever asks is told that there is none."""
    sessions.answer = lambda _: Refusal("ResourceNotFoundException", 404)
    assert asyncio.run(jobs.progress(acme, RECORD, limit=10, cursor=None)) is None
