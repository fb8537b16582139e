"""A file travels as a job of IoT Jobs, to one device or to each of a group."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def test_a_file_travels_as_a_job(deployed: DeployedService) -> None:
    """The job carries size, digest and a URL that IoT Jobs signs; its outcome is the download's."""
    body = {"device": "press-01", "artifact": "recipes/steel.json"}
    answer = deployed.call("POST", "/v1/downloads", json=body)
    assert answer.status_code == 202, answer.text
    url = answer.headers["Location"]
    deployed.made(answer.json()["id"])
    jobs = deployed.setup.cloud.client("iot-jobs-data")
    # Others may wait for it that other tests sent.
    execution = jobs.describe_job_execution(
        jobId=f"acme--{answer.json()['id']}-00", thingName="acme--press-01", includeJobDocument=True
    )["execution"]
    document = json.loads(execution["jobDocument"])
    assert document["sha256"] == hashlib.sha256(b'{"temperature": 900}').hexdigest()
    jobs.update_job_execution(
        jobId=execution["jobId"],
        thingName="acme--press-01",
        status="FAILED",
        statusDetails={"reason": "disk full"},
    )
    seen = deployed.watch(url, lambda seen: seen["state"] != "queued")
    assert (seen["state"], seen["counts"]) == ("failed", {"failed": 1})
    assert seen["deliveries"][0]["detail"] == {"reason": "disk full"}
    assert deployed.call("GET", url, tenant="globex").status_code == 404


def test_a_file_replaced_meanwhile_goes_as_asked_for(deployed: DeployedService) -> None:
    """A device that comes late gets the version that was sent to it, whatever its name holds."""
    name = "recipes/a+b=@.json"
    deployed.setup.upload("acme", name, b"asked for")
    body = {"device": "press-02", "artifact": name}
    made = deployed.call("POST", "/v1/downloads", json=body)
    assert made.status_code == 202, made.text
    deployed.made(made.json()["id"])
    deployed.setup.upload("acme", name, b"uploaded later")
    jobs = deployed.setup.cloud.client("iot-jobs-data")
    execution = jobs.describe_job_execution(
        jobId=f"acme--{made.json()['id']}-00", thingName="acme--press-02", includeJobDocument=True
    )["execution"]
    document = json.loads(execution["jobDocument"])
    got = httpx.get(document["url"], headers={"If-Match": document["etag"]}, trust_env=False)
    assert (got.status_code, got.content) == (200, b"asked for")


def test_a_canceled_download_is_no_job_any_more(deployed: DeployedService) -> None:
    """The worker cancels its job: a device that had not begun is offered it no more."""
    body = {"device": "press-02", "artifact": "recipes/steel.json"}
    made = deployed.call("POST", "/v1/downloads", json=body).json()
    deployed.made(made["id"])
    answer = deployed.call("POST", f"{made['url']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "canceling")
    seen = deployed.watch(made["url"], lambda seen: seen["state"] != "canceling")
    assert (seen["state"], seen["counts"]) == ("canceled", {"canceled": 1})
    iot = deployed.setup.cloud.client("iot")
    execution = iot.describe_job_execution(
        jobId=f"acme--{made['id']}-00", thingName="acme--press-02"
    )["execution"]
    assert execution["status"] == "CANCELED"
    listed = deployed.call("GET", "/v1/downloads?device=press-02&state=canceled").json()
    assert made["id"] in {one["id"] for one in listed["downloads"]}


def test_a_group_gets_a_file(deployed: DeployedService) -> None:
    """One job for the group, one delivery per member."""
    body = {"group": "line-press", "artifact": "recipes/steel.json"}
    answer = deployed.call(
        "POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"}
    )
    assert answer.status_code == 202, answer.text
    seen = deployed.call("GET", answer.headers["Location"]).json()
    assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
    again = deployed.call(
        "POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"}
    )
    assert again.json()["id"] == answer.json()["id"]


def test_a_thing_that_is_no_device_keeps_firmware_from_nobody(deployed: DeployedService) -> None:
    """A claim may make `acme--a:b` in the root group: the devices get theirs, it gets nothing."""
    iot = deployed.setup.cloud.client("iot")
    deployed.setup.upload("acme", "firmware/press.bin", b"2")
    odd = ("acme--a:b", "acme---bad", "acme--")
    for thing in odd:
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName="acme", thingName=thing)
    try:
        answer = deployed.call(
            "POST", "/v1/downloads", json={"group": "all", "artifact": "firmware/press.bin"}
        )
        assert answer.status_code == 202, answer.text
        seen = deployed.call("GET", answer.headers["Location"]).json()
        assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
        assert sum(seen["counts"].values()) == 2
        assert [
            device["id"] for device in deployed.call("GET", "/v1/devices").json()["devices"]
        ] == [
            "press-01",
            "press-02",
        ]
    finally:
        for thing in odd:
            iot.delete_thing(thingName=thing)


def test_what_is_not_there_is_told(deployed: DeployedService) -> None:
    """Unknown file, group and download are 404; who may not is refused before a file is sought."""
    for body in (
        {"device": "press-01", "artifact": "nothing"},
        {"group": "nothing", "artifact": "recipes/steel.json"},
    ):
        assert deployed.call("POST", "/v1/downloads", json=body).status_code == 404
    assert deployed.call("GET", "/v1/downloads/01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 404
    refused = deployed.call(
        "POST",
        "/v1/downloads",
        group="operators",
        json={"device": "press-01", "artifact": "nothing"},
    )
    assert refused.status_code == 403


def test_a_digest_can_be_s3s_own(deployed: DeployedService) -> None:
    """A full-object SHA-256 of S3 serves as well as metadata; a file with neither is refused."""
    s3 = deployed.setup.cloud.client("s3")
    bucket = deployed.setup.stacks["acme"]["bucket"]
    s3.put_object(Bucket=bucket, Key="checked.bin", Body=b"abc", ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket=bucket, Key="bare.bin", Body=b"abc")
    made = deployed.call(
        "POST", "/v1/downloads", json={"device": "press-02", "artifact": "checked.bin"}
    )
    assert made.status_code == 202, made.text
    assert (
        deployed.call("GET", made.headers["Location"]).json()["sha256"]
        == hashlib.sha256(b"abc").hexdigest()
    )
    assert (
        deployed.call(
            "POST", "/v1/downloads", json={"device": "press-02", "artifact": "bare.bin"}
        ).status_code
        == 409
    )
