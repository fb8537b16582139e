"""Files that arrive as IoT Jobs, with the embedded cloud's broker, Jobs and S3."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import secrets
import signal
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cedarfleet_device.trust.signing import main as cedarfleet_sign
from cedarfleet_device.wire import DownloadDocument, Manifest, Signed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.devices import Tenant

BUCKET = "workshop-artifacts"
INSTALL = """
def install(path):
    if path.read_bytes() == b"bad":
        raise RuntimeError("does not boot")
"""


class FileSender:
    """Who hands out files: bucket, presign role and jobs."""

    def __init__(self, tenant: Tenant) -> None:
        cloud = tenant.cloud
        self._iot, self._s3 = cloud.client("iot"), cloud.client("s3")
        self._arn = f"arn:aws:iot:{cloud.region}:{cloud.account_id}:thing/"
        self._s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region}
        )
        iam = cloud.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "iot.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        self._role = iam.create_role(
            RoleName="workshop-presign-test", AssumeRolePolicyDocument=_policy(trust)
        )["Role"]["Arn"]
        read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        iam.put_role_policy(
            RoleName="workshop-presign-test", PolicyName="read", PolicyDocument=_policy(read)
        )
        self._region = cloud.region

    def hand_out(
        self,
        thing: str,
        name: str,
        content: bytes,
        *,
        sha256: str | None = None,
        url: str | None = None,
        url_seconds: int = 60,
        manifest: Signed | None = None,
    ) -> str:
        """Upload a file and make the job that delivers it; the job id.

        Args:
            thing: to which.
            name: of the file.
            content: its bytes.
            sha256: announced instead of the right one.
            url: in the document as it is; None: one that is presigned whenever the device asks for
                the document.
            url_seconds: life of that one; AWS takes no less than 60, so a shorter one is written
                into the job that the emulator keeps.
            manifest: what the maker says of the file.
        """
        etag = self._s3.put_object(Bucket=BUCKET, Key=name, Body=content)["ETag"]
        document = DownloadDocument(
            name=name,
            size=len(content),
            sha256=sha256 or hashlib.sha256(content).hexdigest(),
            etag=etag,
            url=url
            or f"${{aws:iot:s3-presigned-url:https://s3.{self._region}.amazonaws.com"
            f"/{BUCKET}/{name}}}",
            manifest=manifest,
        ).encode()
        return self.order(thing, document, url_seconds=url_seconds)

    def order(self, thing: str, document: str, *, url_seconds: int = 60) -> str:
        """Make a job with any document."""
        job_id = f"workshop--{secrets.token_hex(8)}"
        presign = {"roleArn": self._role, "expiresInSec": max(60, url_seconds)}
        self._iot.create_job(
            jobId=job_id, targets=[self._arn + thing], document=document, presignedUrlConfig=presign
        )
        iot: Any = importlib.import_module("ministack.services.iot")
        jobs: dict[Any, Any] = iot._jobs._data
        (kept,) = (job for key, job in jobs.items() if key[-1] == job_id)
        kept["presignedUrlConfig"]["expiresInSec"] = url_seconds
        return job_id

    def expired_url(self, name: str) -> str:
        """A URL that S3 gave a second of life and now refuses."""
        url = self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": BUCKET, "Key": name}, ExpiresIn=1
        )
        deadline = time.monotonic() + 10
        while (answer := httpx.get(url)).status_code != HTTPStatus.FORBIDDEN:
            assert time.monotonic() < deadline, answer.status_code
            time.sleep(0.1)  # S3 tells nobody
        assert "Request has expired" in answer.text
        return url

    def outcome(
        self, thing: str, job_id: str, *, seconds: float = 30
    ) -> tuple[str, dict[str, str]]:
        """Status and details once the device has ended the job."""
        deadline = time.monotonic() + seconds
        while True:
            execution = self._iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
            if execution["status"] not in ("QUEUED", "IN_PROGRESS"):
                return execution["status"], execution["statusDetails"]["detailsMap"]
            assert time.monotonic() < deadline, execution
            time.sleep(0.05)  # who orders is told nothing


def fetched(folder: Path, least: int) -> Path:
    """The folder, once so many bytes of a download are in it; nothing tells of its middle."""
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in folder.glob(".*.part")) < least:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return folder


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def sender(tenant: Tenant) -> FileSender:
    """The sender of the tenant."""
    return FileSender(tenant)


def test_files_arrive_and_bad_orders_end_with_their_reason(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """A file ordered while the device was off arrives byte for byte.

    A wrong digest or document ends its job.
    """
    device = tenant.device(tmp_path)
    content = secrets.token_bytes(3_000_000)
    good = sender.hand_out(device.thing, "recipes/steel.bin", content)
    tampered = sender.hand_out(device.thing, "recipes/brass.bin", b"other", sha256="0" * 64)
    foreign = sender.order(device.thing, json.dumps({"kind": "download", "wire": 2}))
    lists = sender.order(device.thing, json.dumps([1, 2]))
    text = sender.order(device.thing, json.dumps("text"))

    with device.run() as agent:
        outcomes = [
            sender.outcome(device.thing, job_id)
            for job_id in (good, tampered, foreign, lists, text)
        ]
        assert agent.stop() == 0

    assert outcomes[0] == (
        "SUCCEEDED",
        {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": "3000000",
            "bytes_fetched": "3000000",
        },
    )
    assert [path.read_bytes() for path in tmp_path.glob("downloads/**/*.bin")] == [content]
    assert outcomes[1][0] == "FAILED"
    assert outcomes[2] == ("REJECTED", {"reason": "wire version `2` is not 1"})
    for each in outcomes[3:]:
        assert each == ("REJECTED", {"reason": "message is not a JSON object"})
    log = (tmp_path / "device.log").read_text()
    assert "X-Amz-Signature" not in log


def test_a_job_ordered_while_the_device_is_on_is_taken_at_once(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """The announcement of a job starts it without waiting for the next look."""
    device = tenant.device(tmp_path)
    with device.run() as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        job_id = sender.hand_out(device.thing, "small.txt", b"hello")
        assert sender.outcome(device.thing, job_id)[0] == "SUCCEEDED"


def test_a_cancelled_job_is_left_and_the_next_one_taken(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """A job that is cancelled while the device is at it does not hold up the one behind it."""
    device = tenant.device(tmp_path, settings={"downloads.bytes_per_second": 200_000})
    first = sender.hand_out(device.thing, "slow.bin", secrets.token_bytes(20_000_000))
    second = sender.hand_out(device.thing, "next.txt", b"next")
    with device.run() as agent:
        agent.await_event("job.started", seconds=30)
        tenant.cloud.client("iot").cancel_job(jobId=first, force=True)
        assert sender.outcome(device.thing, second)[0] == "SUCCEEDED"
        agent.await_event("job.ended", seconds=30, where=lambda logged: logged["job_id"] == second)
    assert [path.name for path in (tmp_path / "downloads").rglob("*") if path.is_file()] == [
        "next.txt"
    ], "what was fetched for the cancelled job has left the disk"


def test_bytes_of_a_job_that_ended_meanwhile_leave_the_disk(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """A device that was off while its job was cancelled finds no job that names its bytes."""
    device = tenant.device(tmp_path, settings={"downloads.bytes_per_second": 200_000})
    job_id = sender.hand_out(device.thing, "slow.bin", secrets.token_bytes(20_000_000))
    with device.run(name="first") as agent:
        agent.await_event("job.started", seconds=30)
        parts = fetched(tmp_path / "downloads", 1)
        os.kill(agent.pid, signal.SIGKILL)
    tenant.cloud.client("iot").cancel_job(jobId=job_id, force=True)
    with device.run(name="second") as agent:
        agent.await_event("download.discarded", seconds=30)
    assert not list(parts.iterdir())


def test_the_outcome_of_the_install_hook_is_the_jobs(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """Where the hook raises, the job is FAILED with its words, and the former file is back."""
    device = tenant.device(tmp_path)
    with device.run("    pass\n" + INSTALL):
        outcomes = [
            sender.outcome(device.thing, sender.hand_out(device.thing, "firmware.bin", content))
            for content in (b"good", b"bad")
        ]
    assert [status for status, _ in outcomes] == ["SUCCEEDED", "FAILED"]
    assert "does not boot" in outcomes[1][1]["reason"]
    assert [path.read_bytes() for path in (tmp_path / "downloads").glob("**/firmware.bin")] == [
        b"good"
    ]


def test_a_job_goes_on_after_a_power_cut_where_it_was(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """An agent killed half way ends the job at its next start, and fetches only the rest."""
    device = tenant.device(tmp_path, settings={"downloads.bytes_per_second": 2_000_000})
    content = secrets.token_bytes(6_000_000)
    with device.run(name="first") as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        job_id = sender.hand_out(device.thing, "half.bin", content)
        agent.await_event("job.started", seconds=30)
        fetched(tmp_path / "downloads", len(content) // 3)
        os.kill(agent.pid, signal.SIGKILL)
    assert not list((tmp_path / "downloads").glob("**/half.bin"))
    with device.run(name="second"):
        status, detail = sender.outcome(device.thing, job_id)
    assert status == "SUCCEEDED"
    assert int(detail["bytes_fetched"]) < len(content)
    assert [path.read_bytes() for path in (tmp_path / "downloads").glob("**/half.bin")] == [content]


def test_a_url_that_expires_half_way_is_exchanged(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """S3 refuses the third request, since the URL expired: the agent asks again and goes on.

    Of two connections each has a request at once; the third follows when the shorter one is
    through. Every byte is received once.
    """
    pace = {
        "downloads.connections": 2,
        "downloads.parallel_from_seconds": 0,
        "downloads.bytes_per_second": 7_000_000,
    }
    device = tenant.device(tmp_path, settings=pace)
    content = random.Random(3).randbytes(34 * 1024 * 1024)  # noqa: S311 - content, not a secret
    job_id = sender.hand_out(device.thing, "large.bin", content, url_seconds=2)
    with device.run() as agent:
        expired = agent.await_event("download.url_expired", seconds=30)
        status, detail = sender.outcome(device.thing, job_id)
    assert expired["why"] == "the server answered 403 AccessDenied"
    assert len(content) / 2 < expired["received"] < len(content)
    assert (status, detail["bytes_fetched"]) == ("SUCCEEDED", str(len(content)))
    assert [path.read_bytes() for path in (tmp_path / "downloads").glob("**/large.bin")] == [
        content
    ]
    assert "X-Amz-Signature" not in (tmp_path / "device.log").read_text()


def test_a_url_that_stays_expired_ends_the_job_with_the_reason(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """Where asking again brings the same URL, the job is FAILED: no loop, and no URL told."""
    device = tenant.device(tmp_path)
    job_id = sender.hand_out(
        device.thing, "stale.bin", b"stale", url=sender.expired_url("stale.bin")
    )
    with device.run():
        outcome = sender.outcome(device.thing, job_id)
    assert outcome == (
        "FAILED",
        {"reason": "the server answered 403 AccessDenied, also to 3 fresh URLs"},
    )
    log = (tmp_path / "device.log").read_text()
    assert log.count("download.url_expired") == 3
    assert "X-Amz-Signature" not in log
    assert not list((tmp_path / "downloads").glob("**/stale.bin"))


def test_a_version_is_installed_confirmed_and_reported(
    tenant: Tenant, sender: FileSender, tmp_path: Path
):
    """A program carries the steps out; the job and `status` name package and version.

    What is no later than that is refused, and a plain file comes as before.
    """
    (tmp_path / "installer").write_text(
        f'#!/bin/sh\ncase "$1" in installed) exit 127;; esac\n'
        f'echo "$1 $CEDARFLEET_VERSION" >> {tmp_path}/steps\n'
        '[ "$1" != works ] || cmp "$CEDARFLEET_FILE" - <<!\nimage\n!\n'
    )
    (tmp_path / "installer").chmod(0o755)
    device = tenant.device(tmp_path, settings={"installs.program": str(tmp_path / "installer")})

    def offer(version: str) -> str:
        content = b"image\n"
        manifest = Manifest(
            name="firmware/press.img",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            package="firmware",
            version=version,
        )
        signed = Signed(text=manifest.encode().decode())
        return sender.hand_out(device.thing, manifest.name, content, manifest=signed)

    with device.run() as agent:
        outcomes = [sender.outcome(device.thing, offer(version)) for version in ("2.0", "1.9")]
        plain = sender.hand_out(device.thing, "recipes/steel.txt", b"steel")
        assert sender.outcome(device.thing, plain)[0] == "SUCCEEDED"
        assert agent.stop() == 0
    assert outcomes[0] == (
        "SUCCEEDED",
        {"state": "confirmed", "package": "firmware", "version": "2.0", "former": "unknown"},
    )
    assert outcomes[1][0] == "REJECTED"
    assert "1.9 is not later than 2.0" in outcomes[1][1]["reason"]
    steps = (tmp_path / "steps").read_text().splitlines()
    assert [step.split()[0] for step in steps] == ["not-now", "install", "works", "commit"]
    status = json.loads((tmp_path / "state" / "status.json").read_text())
    assert status["packages"] == {"firmware": "2.0"}


def test_a_device_that_pinned_keys_follows_them(tenant: Tenant, sender: FileSender, tmp_path: Path):
    """The cloud alone can send it nothing: no plain file, and no list of keys of its own.

    What its keys signed takes their place, and is not forgotten.
    """
    keys = tmp_path / "keys"
    keys.mkdir()
    for name in ("maker", "thief"):
        assert cedarfleet_sign(["key", str(keys / name)]) == 0

    def listed(version: int, signer: str) -> bytes:
        file, pub = str(keys / f"{version}.{signer}.json"), str(keys / f"{signer}.pub")
        words = ["--version", str(version), "--root", pub, "--release", pub, file]
        assert cedarfleet_sign(["root", *words]) == 0
        assert cedarfleet_sign(["sign", file, "--key", str(keys / signer)]) == 0
        return (keys / f"{version}.{signer}.json").read_bytes()

    (tmp_path / "trust.json").write_bytes(listed(1, "maker"))
    second = listed(2, "maker")
    device = tenant.device(tmp_path, settings={"trust_file": "trust.json"})
    with device.run() as agent:
        plain = sender.hand_out(device.thing, "plain.txt", b"plain")
        stolen = sender.hand_out(device.thing, "trust/thief.root.json", listed(2, "thief"))
        good = sender.hand_out(device.thing, "trust/2.root.json", second)
        outcomes = [sender.outcome(device.thing, each) for each in (plain, stolen, good)]
        assert agent.stop() == 0
    assert outcomes[0] == (
        "REJECTED",
        {"reason": "it is not signed, and this device takes signed files only"},
    )
    assert outcomes[1][0] == "FAILED"
    assert "not signed by the former one's" in outcomes[1][1]["reason"]
    assert outcomes[2][0] == "SUCCEEDED"
    assert (tmp_path / "state" / "trust.json").read_bytes() == second
