"""A file travels from a browser's page to a device: in signed parts, verified by the worker."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

URL = "/v1/files"
ORIGIN = "https://console.cedarfleet.example"


def digest(content: bytes) -> str:
    """SHA-256 as the API writes it."""
    return hashlib.sha256(content).hexdigest()


def begun(deployed: DeployedService, name: str, size: int, sha256: str) -> dict[str, Any]:
    """An upload that was begun."""
    body = {"name": name, "size": size, "sha256": sha256}
    answer = deployed.call("POST", URL, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def signed(deployed: DeployedService, file_id: str, number: int, part: bytes) -> dict[str, Any]:
    """Where a part is sent."""
    body = {"parts": [{"number": number, "sha256": digest(part)}]}
    answer = deployed.call("POST", f"{URL}/{file_id}/parts", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["parts"][0]


def sent(part: dict[str, Any], content: bytes, **headers: str) -> httpx.Response:
    """Send a part, as whoever has its URL."""
    return httpx.put(
        part["url"], content=content, headers=part["headers"] | headers, trust_env=False
    )


def ended(deployed: DeployedService, file_id: str) -> dict[str, Any]:
    """The version once the worker has looked at it."""
    assert deployed.call("POST", f"{URL}/{file_id}/complete").status_code == 202
    return deployed.watch(f"{URL}/{file_id}", lambda seen: seen["state"] != "verifying")


def test_a_file_of_two_parts_reaches_a_device(deployed: DeployedService) -> None:
    """Sent by signed URLs, put together, verified; the job names its one version of S3."""
    file = begun(deployed, "recipes/brass.bin", 8 * 2**20 + 4, digest(bytes(8 * 2**20) + b"rest"))
    parts = (bytes(8 * 2**20), b"rest")
    for number, content in enumerate(parts, 1):
        answer = sent(signed(deployed, file["id"], number, content), content)
        assert answer.status_code == 200, answer.text
    seen = ended(deployed, file["id"])
    assert (seen["state"], seen["problem"]) == ("available", None)
    body = {"device": "press-02", "artifact": "recipes/brass.bin"}
    made = deployed.call("POST", "/v1/downloads", json=body)
    assert made.status_code == 202, made.text
    deployed.made(made.json()["id"])
    # Retired meanwhile: who was promised it gets it all the same.
    assert deployed.call("DELETE", f"{URL}/{file['id']}").json()["state"] == "retired"
    jobs = deployed.setup.cloud.client("iot-jobs-data")
    execution = jobs.describe_job_execution(
        jobId=f"acme--{made.json()['id']}-00", thingName="acme--press-02", includeJobDocument=True
    )["execution"]
    document = json.loads(execution["jobDocument"])
    assert (document["name"], document["sha256"]) == ("recipes/brass.bin", file["sha256"])
    got = httpx.get(document["url"], headers={"If-Match": document["etag"]}, trust_env=False)
    assert (got.status_code, digest(got.content)) == (200, file["sha256"])
    assert deployed.call("POST", "/v1/downloads", json=body).status_code == 409


def test_a_signed_url_takes_its_part_alone(deployed: DeployedService) -> None:
    """Other bytes, another length, no digest: refused; a page of the tenant's app may send it."""
    file = begun(deployed, "recipes/tin.bin", 4, digest(b"good"))
    part = signed(deployed, file["id"], 1, b"good")
    for content, headers in ((b"evil", {}), (b"good and more", {}), (b"good", None)):
        refused = sent(part if headers is not None else part | {"headers": {}}, content)
        assert refused.status_code in {400, 403}, content
    assert deployed.call("POST", f"{URL}/{file['id']}/complete").status_code == 409
    asked = {"Access-Control-Request-Method": "PUT"}
    asked["Access-Control-Request-Headers"] = "x-amz-checksum-sha256"
    for origin, status in ((ORIGIN, 200), ("https://evil.example", 403)):
        preflight = httpx.options(part["url"], headers=asked | {"Origin": origin}, trust_env=False)
        assert preflight.status_code == status
    answer = sent(part, b"good", Origin=ORIGIN)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert ended(deployed, file["id"])["state"] == "available"


def test_parts_of_another_file_are_refused(deployed: DeployedService) -> None:
    """Each part is what was said of it, the whole is not: refused, and its object is gone."""
    file = begun(deployed, "recipes/zinc.bin", 4, digest(b"good"))
    assert sent(signed(deployed, file["id"], 1, b"evil"), b"evil").status_code == 200
    seen = ended(deployed, file["id"])
    assert (seen["state"], seen["problem"]) == ("refused", f"its SHA-256 is {digest(b'evil')}")
    body = {"device": "press-02", "file": file["id"]}
    assert deployed.call("POST", "/v1/downloads", json=body).status_code == 409
    s3 = deployed.setup.cloud.client("s3")
    listed = s3.list_objects_v2(Bucket=deployed.setup.stacks["acme"]["bucket"], Prefix=".files/")
    assert f".files/{file['id']}" not in {one["Key"] for one in listed.get("Contents", ())}
