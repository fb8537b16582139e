"""Presigned URLs of the embedded cloud's S3, as IoT Jobs puts them into a job document."""

from __future__ import annotations

import hashlib
import random
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cedarfleet_device.downloads import DownloadRefusedError, Reason
from cedarfleet_device.wire import DownloadDocument

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from tests.device_sdk.downloads.conftest import Device

BUCKET = "downloads-of-tests"
KEY = "recipes/größe 42+1.bin"
CONTENT = random.Random(5).randbytes(3_000_000)  # noqa: S311 - content, not a secret


@pytest.fixture
def s3(embedded_cloud: EmbeddedCloud) -> Any:
    """A client, with the object in place."""
    client = embedded_cloud.client("s3")
    client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": embedded_cloud.region}
    )
    client.put_object(Bucket=BUCKET, Key=KEY, Body=CONTENT)
    yield client
    client.delete_object(Bucket=BUCKET, Key=KEY)
    client.delete_bucket(Bucket=BUCKET)


def presigned(s3: Any, seconds: int = 60) -> str:
    """A fresh URL."""
    return s3.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": KEY}, ExpiresIn=seconds
    )


def document(s3: Any, url: str) -> DownloadDocument:
    """The job document of the object as it is."""
    etag = s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    digest = hashlib.sha256(CONTENT).hexdigest()
    return DownloadDocument(name="image.bin", size=len(CONTENT), sha256=digest, etag=etag, url=url)


def test_a_file_comes_from_s3_over_several_ranges(device: Device, s3: Any):
    """Ranges with If-Match against a presigned URL deliver it, over one connection or several."""
    job = document(s3, presigned(s3))
    one = device.downloader(stall_seconds=20).fetch(job, refresh_url=lambda: presigned(s3))
    assert one.path.read_bytes() == CONTENT
    one.path.unlink()
    several = device.downloader(
        stall_seconds=20, parallel_from_seconds=0.0, parallel_from_bytes=1000
    )
    assert several.fetch(job, refresh_url=lambda: presigned(s3)).path.read_bytes() == CONTENT


def test_an_expired_url_is_exchanged_for_a_fresh_one(device: Device, s3: Any):
    """S3's own 403 for an expired signature leads to a fresh URL, not to a refusal."""
    url = presigned(s3, seconds=1)
    for _ in range(100):
        if httpx.get(url, headers={"Range": "bytes=0-0"}).status_code == HTTPStatus.FORBIDDEN:
            break
        threading.Event().wait(0.1)
    asked: list[int] = []

    def refresh() -> str:
        asked.append(1)
        return presigned(s3)

    delivered = device.downloader(stall_seconds=20).fetch(document(s3, url), refresh_url=refresh)
    assert delivered.path.read_bytes() == CONTENT
    assert asked == [1]


def test_an_overwritten_object_is_not_delivered(device: Device, s3: Any):
    """S3's 412 starts over, and the digest then refuses the other object."""
    job = document(s3, presigned(s3))
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=CONTENT[::-1])
    with pytest.raises(DownloadRefusedError) as caught:
        device.downloader(stall_seconds=20).fetch(job, refresh_url=lambda: presigned(s3))
    assert caught.value.reason is Reason.DIGEST
    assert device.visible_files() == {}


def test_a_missing_object_stops_with_s3s_word(device: Device, s3: Any):
    """404 is final, and the message has the error code and not the URL."""
    job = document(s3, presigned(s3))
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    with pytest.raises(DownloadRefusedError, match="404 NoSuchKey") as caught:
        device.downloader(stall_seconds=20).fetch(job, refresh_url=lambda: presigned(s3))
    assert "Signature" not in str(caught.value)
