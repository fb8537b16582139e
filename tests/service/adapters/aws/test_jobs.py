"""A download's jobs: what one is made of, and what IoT Jobs knows of its devices."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import DownloadDocument, Signed

from service.adapters.aws.jobs import IotDownloadJobs
from service.domain.downloads import (
    DeliveryJob,
    DeliveryState,
    DownloadRecord,
    Outcome,
    TargetKind,
    jobs_of,
)
from service.errors import ConflictError
from service.settings import JobSettings
from tests.service.adapters.aws.answered_line import Call, Refusal

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

ENDED = datetime(2026, 10, 1, 12, tzinfo=UTC)
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
JOB = DeliveryJob(number=7, members=("press-01", "b"))


@pytest.fixture
def jobs(door: AnsweredDoor) -> IotDownloadJobs:
    """The adapter with an hour's URL, a day's timeout and 50 devices a minute."""
    settings = JobSettings(url_ttl_seconds=3600, device_timeout_minutes=1440, devices_per_minute=50)
    return IotDownloadJobs(aws=door, settings=settings)


def test_a_job_is_for_exactly_its_members(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """The devices that were decided on, by name; signed by the tenant's own role."""
    asyncio.run(jobs.make(acme, RECORD, JOB))
    [call] = door.calls
    assert call.arguments["targets"] == [
        f"arn:aws:iot:eu-central-1:123456789012:thing/acme--{device}" for device in JOB.members
    ]
    assert call.arguments["jobId"] == f"acme--{RECORD.download_id}-07"
    assert call.arguments["presignedUrlConfig"] == {
        "roleArn": acme.presign_role_arn,
        "expiresInSec": 3600,
    }
    assert call.arguments["timeoutConfig"] == {"inProgressTimeoutInMinutes": 1440}
    assert call.arguments["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 50}
    assert call.arguments["targetSelection"] == "SNAPSHOT"
    assert "abortConfig" not in call.arguments, "a threshold counts over all jobs, not in each"
    document = json.loads(call.arguments["document"])
    bucket = "https://s3.eu-central-1.amazonaws.com/acme-artifacts"
    assert document["url"] == f"${{aws:iot:s3-presigned-url-v2:{bucket}/recipes/steel.json}}"
    assert (document["size"], document["sha256"]) == (20, "ab" * 32)
    assert "manifest" not in document, "agents of before know no such member"


def test_what_the_maker_signed_reaches_the_device(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """Word for word: a signature is over the very text."""
    signed = Signed(text='{"wire":1, "version":"2.0"}', signatures={"0" * 64: "AAAA"})
    asyncio.run(jobs.make(acme, replace(RECORD, manifest=signed), JOB))
    [call] = door.calls
    document = json.loads(call.arguments["document"])
    assert DownloadDocument.decode(document).manifest == signed


def test_the_last_job_of_the_longest_tenant_fits() -> None:
    """10,000 devices are 100 jobs of 100, and the longest id has no more than AWS's 64."""
    planned = list(jobs_of([f"d{number}" for number in range(10_000)]))
    record = replace(RECORD, tenant="t" * 32, devices=10_000)
    assert [job.number for job in planned] == list(range(record.jobs))
    assert {len(job.members) for job in planned} == {100}
    assert len(planned[-1].id_in(record)) <= 64


def test_a_job_names_the_version_encoded(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """What AWS reads as a URL is encoded: `+` of a name, and the version's own characters."""
    record = replace(RECORD, artifact="r/a+b=@.bin", version="v/1+2=")
    asyncio.run(jobs.make(acme, record, JOB))
    document = json.loads(door.calls[0].arguments["document"])
    bucket = "https://s3.eu-central-1.amazonaws.com/acme-artifacts"
    address = f"{bucket}/r/a%2Bb%3D%40.bin%3FversionId%3Dv%2F1%2B2%3D"
    assert document["url"] == f"${{aws:iot:s3-presigned-url-v2:{address}}}"


def test_a_target_that_is_gone_is_told_apart(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """AWS refuses the whole job for one thing that is no more: the worker then leaves it out."""
    door.answer = lambda _: Refusal("ResourceNotFoundException", 404)
    with pytest.raises(ConflictError, match="gone"):
        asyncio.run(jobs.make(acme, RECORD, JOB))


def summary(thing: str, status: str, **members: Any) -> dict[str, Any]:
    """One device's line of the job."""
    arn = f"arn:aws:iot:eu-central-1:123456789012:thing/{thing}"
    return {"thingArn": arn, "jobExecutionSummary": {"status": status, **members}}


def test_ends_are_read_and_nothing_else(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """An open device, or one of another status, has no end; other tenants' things are none."""
    lines = [
        *(
            summary(f"acme--{status.lower()}", status, lastUpdatedAt=ENDED)
            for status in ("QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT")
        ),
        summary("globex--pump-01", "SUCCEEDED", lastUpdatedAt=ENDED),
        summary("acme", "SUCCEEDED", lastUpdatedAt=ENDED),
        summary("acme--press-07", "MOVED_ON", lastUpdatedAt=ENDED),
    ]
    door.answer = lambda _: {"executionSummaries": lines}
    known = asyncio.run(jobs.outcomes(acme, RECORD, JOB))
    assert known == {
        name: Outcome(state=DeliveryState(name), at=1_790_856_000_000)
        for name in ("succeeded", "failed", "timed_out")
    } | dict.fromkeys(("queued", "in_progress", "press-07"))


def test_a_job_that_ended_needs_no_canceling(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """Whoever is at it may end it: a job is never canceled by force."""
    asyncio.run(jobs.cancel(acme, RECORD, JOB))
    assert "force" not in door.calls[0].arguments
    door.answer = lambda _: Refusal("InvalidRequestException", 400)
    asyncio.run(jobs.cancel(acme, RECORD, JOB))


def test_what_waits_for_a_device_is_found_page_by_page(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant
) -> None:
    """Waiting and begun; jobs of the platform, and of other forms, are not ours to end."""
    ours = f"acme--{RECORD.download_id}"
    pages = {
        ("QUEUED", None): ([f"{ours}-00", "move-1"], "more"),
        ("QUEUED", "more"): ([f"globex--{RECORD.download_id}-00", f"{ours}-01", f"{ours}-1"], None),
        ("IN_PROGRESS", None): ([f"{ours}-12r03"], None),
    }

    def answer(call: Call) -> dict[str, Any]:
        assert call.arguments["thingName"] == "acme--press-01"
        names, token = pages[call.arguments["status"], call.arguments.get("nextToken")]
        found = [
            {"jobId": name, "jobExecutionSummary": {"status": call.arguments["status"]}}
            for name in names
        ]
        return {"executionSummaries": found, **({"nextToken": token} if token else {})}

    door.answer = answer
    waiting = asyncio.run(jobs.waiting(acme, "press-01"))
    assert waiting == [(RECORD.download_id, mark) for mark in ("00", "01", "12r03")]


@pytest.mark.parametrize("ended", ["InvalidStateTransitionException", "ResourceNotFoundException"])
def test_a_job_is_ended_for_one_device_alone(
    jobs: IotDownloadJobs, door: AnsweredDoor, acme: Tenant, ended: str
) -> None:
    """Also if it is at it, and with the reason; one that has ended needs none."""
    asyncio.run(jobs.withdraw(acme, "press-01", (RECORD.download_id, "07"), why="because"))
    assert door.calls[0].operation == "CancelJobExecution"
    assert door.calls[0].arguments == {
        "jobId": JOB.id_in(RECORD),
        "thingName": "acme--press-01",
        "force": True,
        "statusDetails": {"reason": "because"},
    }
    door.answer = lambda _: Refusal(ended, 409)
    asyncio.run(jobs.withdraw(acme, "press-01", (RECORD.download_id, "07"), why="because"))
