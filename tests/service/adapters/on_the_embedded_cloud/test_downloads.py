"""A file travels as a job of IoT Jobs, to one device or to each of a group."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import Plant


def test_a_file_travels_as_a_job(plant: Plant) -> None:
    """The job's document carries size, digest and a URL that IoT Jobs signs; its outcome is the download's."""
    body = {"device": "press-01", "artifact": "recipes/steel.json"}
    answer = plant.call("POST", "/v1/downloads", json=body)
    assert answer.status_code == 202, answer.text
    url = answer.headers["Location"]
    assert plant.call("GET", url).json()["state"] == "queued"
    jobs = plant.setup.cloud.client("iot-jobs-data")
    execution = jobs.start_next_pending_job_execution(thingName="acme--press-01")["execution"]
    document = json.loads(execution["jobDocument"])
    assert document["sha256"] == hashlib.sha256(b'{"temperature": 900}').hexdigest()
    assert plant.call("GET", url).json()["state"] == "in_progress"
    jobs.update_job_execution(
        jobId=execution["jobId"],
        thingName="acme--press-01",
        status="FAILED",
        statusDetails={"reason": "disk full"},
    )
    seen = plant.call("GET", url).json()
    assert (seen["state"], seen["counts"]) == ("failed", {"failed": 1})
    assert seen["deliveries"][0]["detail"] == {"reason": "disk full"}
    assert plant.call("GET", url, tenant="globex").status_code == 404


def test_a_group_gets_a_file(plant: Plant) -> None:
    """One job for the group, one delivery per member."""
    body = {"group": "line-press", "artifact": "recipes/steel.json"}
    answer = plant.call("POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"})
    assert answer.status_code == 202, answer.text
    seen = plant.call("GET", answer.headers["Location"]).json()
    assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
    again = plant.call("POST", "/v1/downloads", json=body, headers={"Idempotency-Key": "group-1"})
    assert again.json()["id"] == answer.json()["id"]


def test_a_thing_that_is_no_device_keeps_firmware_from_nobody(plant: Plant) -> None:
    """A claim may make `acme--a:b`, which joins the root group: the devices get theirs, and it gets nothing."""
    iot = plant.setup.cloud.client("iot")
    plant.setup.upload("acme", "firmware/press.bin", b"2")
    odd = ("acme--a:b", "acme---bad", "acme--")
    for thing in odd:
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName="acme", thingName=thing)
    try:
        answer = plant.call(
            "POST", "/v1/downloads", json={"group": "all", "artifact": "firmware/press.bin"}
        )
        assert answer.status_code == 202, answer.text
        seen = plant.call("GET", answer.headers["Location"]).json()
        assert {delivery["device"] for delivery in seen["deliveries"]} == {"press-01", "press-02"}
        assert seen["counts"] == {"queued": 2}
        assert [device["id"] for device in plant.call("GET", "/v1/devices").json()["devices"]] == [
            "press-01",
            "press-02",
        ]
    finally:
        for thing in odd:
            iot.delete_thing(thingName=thing)


def test_what_is_not_there_is_told(plant: Plant) -> None:
    """Unknown file, group and download are 404; an operator is refused before the file is looked for."""
    for body in (
        {"device": "press-01", "artifact": "nothing"},
        {"group": "nothing", "artifact": "recipes/steel.json"},
    ):
        assert plant.call("POST", "/v1/downloads", json=body).status_code == 404
    assert plant.call("GET", "/v1/downloads/01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 404
    refused = plant.call(
        "POST",
        "/v1/downloads",
        group="operators",
        json={"device": "press-01", "artifact": "nothing"},
    )
    assert refused.status_code == 403


def test_a_digest_can_be_s3s_own(plant: Plant) -> None:
    """A full-object SHA-256 checksum of S3 serves as well as metadata; a file with neither is refused with advice."""
    s3 = plant.setup.cloud.client("s3")
    bucket = plant.setup.stacks["acme"]["bucket"]
    s3.put_object(Bucket=bucket, Key="checked.bin", Body=b"abc", ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket=bucket, Key="bare.bin", Body=b"abc")
    made = plant.call(
        "POST", "/v1/downloads", json={"device": "press-02", "artifact": "checked.bin"}
    )
    assert made.status_code == 202, made.text
    assert (
        plant.call("GET", made.headers["Location"]).json()["sha256"]
        == hashlib.sha256(b"abc").hexdigest()
    )
    assert (
        plant.call(
            "POST", "/v1/downloads", json={"device": "press-02", "artifact": "bare.bin"}
        ).status_code
        == 409
    )
