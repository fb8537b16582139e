"""A file's digest is told only where somebody vouches for the whole of it."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.trust.signing import metadata
from cedarfleet_device.wire import Signed

from service.adapters.aws.artifacts import S3Artifacts
from service.domain.artifacts import Artifact
from service.errors import ConflictError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

OF_S3 = bytes(range(32))
S3 = {"ChecksumSHA256": base64.b64encode(OF_S3).decode()}
WRITTEN = {"Metadata": {"sha256": "ab" * 32}}


@pytest.mark.parametrize(
    ("members", "digest"),
    [
        (S3 | {"ChecksumType": "FULL_OBJECT"}, OF_S3.hex()),
        (S3, OF_S3.hex()),
        (S3 | WRITTEN, OF_S3.hex()),
        (S3 | {"ChecksumType": "COMPOSITE"}, None),
        (S3 | {"ChecksumType": "COMPOSITE"} | WRITTEN, "ab" * 32),
        ({"ChecksumSHA256": f"{S3['ChecksumSHA256']}-2"}, None),
        (WRITTEN, "ab" * 32),
        ({"Metadata": {"sha256": "AB" * 32}}, None),
        ({"Metadata": {"sha256": "ab" * 31}}, None),
        ({"Metadata": {}}, None),
        ({}, None),
    ],
)
def test_a_digest_is_of_the_whole_file_or_none(
    acme: Tenant,
    door: AnsweredDoor,
    members: dict[str, Any],
    digest: str | None,
) -> None:
    """S3's own of the whole object, else the uploader's word; never one of parts or half of one."""
    door.answer = lambda _: {"ContentLength": 7, "ETag": '"e"', **members}
    found = asyncio.run(S3Artifacts(aws=door).find(acme, "recipes/steel.json"))
    assert found == Artifact(
        tenant="acme", name="recipes/steel.json", size=7, sha256=digest, etag='"e"'
    )
    [call] = door.calls
    assert call.arguments == {
        "Bucket": "acme-artifacts",
        "Key": "recipes/steel.json",
        "ChecksumMode": "ENABLED",
        "ExpectedBucketOwner": "123456789012",
    }


SIGNED = Signed(text='{"wire":1}', signatures={"0" * 64: "AAAA"})


def test_what_the_maker_signed_is_passed_on(acme: Tenant, door: AnsweredDoor) -> None:
    """As `cedarfleet-sign metadata` prints it; the device judges it, the service does not."""
    door.answer = lambda _: {
        "ContentLength": 7,
        "ETag": '"e"',
        "Metadata": {"manifest": metadata(SIGNED)},
    }
    found = asyncio.run(S3Artifacts(aws=door).find(acme, "firmware/v2.bin"))
    assert found is not None
    assert found.manifest == SIGNED


@pytest.mark.parametrize("written", ["", "{}", "e30=", "bm8=", "W10="])
def test_a_manifest_that_is_none_ends_the_download(
    acme: Tenant, door: AnsweredDoor, written: str
) -> None:
    """Fail closed: without it the file would go out as any other."""
    door.answer = lambda _: {
        "ContentLength": 7,
        "ETag": '"e"',
        "Metadata": {"manifest": written},
    }
    with pytest.raises(ConflictError, match=r"`manifest` of artifact `firmware/v2\.bin`"):
        asyncio.run(S3Artifacts(aws=door).find(acme, "firmware/v2.bin"))
