"""Only a signature made with a key's secret opens the cloud, in a header or in a query."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.infra.local.cloud.conftest import QUERY, ROOTLIKE, SIGNED, TABLES

if TYPE_CHECKING:
    import httpx

    from infra.local.cloud import EmbeddedCloud


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer x",
        "Basic eDp4",
        "Foo",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 x",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=0",
        SIGNED.replace(ROOTLIKE, ""),
        SIGNED.replace(ROOTLIKE, "test"),
        SIGNED.replace(ROOTLIKE, "123456789012"),
        SIGNED.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        "AWS test:c2lnbmF0dXJl",
    ],
)
def test_header_that_is_no_signature_is_refused(
    authorization: str | None, http: httpx.Client
) -> None:
    """Anything but one well-formed Signature Version 4 is refused before the emulator."""
    headers = TABLES if authorization is None else TABLES | {"Authorization": authorization}
    answer = http.post("/", headers=headers, content=b"{}")
    assert answer.status_code == 403
    assert answer.json()["__type"] == "MissingAuthenticationToken"


@pytest.mark.parametrize("second", ["Bearer x", SIGNED])
def test_two_authorization_headers_are_refused(second: str, http: httpx.Client) -> None:
    """A second Authorization header is refused, since two readers could choose differently."""
    headers = [*TABLES.items(), ("Authorization", SIGNED), ("Authorization", second)]
    assert http.post("/", headers=headers, content=b"{}").status_code == 400


@pytest.mark.parametrize("key", [ROOTLIKE, "root"])
def test_wrong_signature_is_refused(
    key: str, embedded_cloud: EmbeddedCloud, http: httpx.Client
) -> None:
    """A well-formed signature without the key's secret is refused by the emulator."""
    key = embedded_cloud.environment()["AWS_ACCESS_KEY_ID"] if key == "root" else key
    headers = TABLES | {
        "Authorization": SIGNED.replace(ROOTLIKE, key),
        "X-Amz-Date": "20261122T110000Z",
    }
    answer = http.post("/", headers=headers, content=b"{}")
    assert answer.status_code in (400, 403)
    assert "TableNames" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=1",
        "X-Amz-Signature=1&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=",
        QUERY,
        QUERY + "zz",
        QUERY + "/20261122/eu-central-1/s3/aws4_request",
        QUERY + "test/20261122/eu-central-1/s3/aws4_request",
        QUERY + "123456789012/20261122/eu-central-1/s3/aws4_request",
        QUERY + f"{ROOTLIKE}/20261122/eu-central-1/s3/aws4_request&X-Amz-Signature=2",
        "AWSAccessKeyId=test&Signature=x&Expires=9999999999",
        "x=X-Amz-Signature=1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_query_that_is_no_signature_is_refused(method: str, query: str, http: httpx.Client) -> None:
    """An incomplete or made-up query signature reaches no bucket."""
    assert (
        http.request(method, f"/{'' if method == 'GET' else 'new-bucket'}?{query}").status_code
        == 403
    )


def test_presigned_url_is_checked(embedded_cloud: EmbeddedCloud, http: httpx.Client) -> None:
    """A presigned URL works unchanged, with a range too; altered or for another object not."""
    store, bucket = embedded_cloud.client("s3"), f"door-{uuid.uuid4().hex[:8]}"
    store.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": embedded_cloud.region}
    )
    for key in ("mine", "other"):
        store.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    url: str = store.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "mine"}, ExpiresIn=60
    )
    assert http.get(url).content == b"0123456789"
    ranged = http.get(url, headers={"Range": "bytes=2-4"})
    assert (ranged.status_code, ranged.content) == (206, b"234")
    assert http.get(url.replace("/mine?", "/other?")).status_code == 403
    assert http.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).status_code == 403
