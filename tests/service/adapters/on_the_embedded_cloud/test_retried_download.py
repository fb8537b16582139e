"""A device that fails is tried again on the embedded cloud, and its end reaches the download."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

DEVICE = "retried-1"
_IDLE_SECONDS = 3  # after which nothing more comes before the next look


@pytest.fixture
def device(deployed: DeployedService) -> Iterator[str]:
    """A thing of acme that speaks the wire of IoT Jobs, and whose first download fails."""
    iot = deployed.setup.cloud.client("iot")
    iot.create_thing(thingName=f"acme--{DEVICE}")
    where = f"/v1/devices/{DEVICE}"
    assert deployed.call("PATCH", where, json={"kind": "press"}).status_code == 200
    yield DEVICE
    iot.delete_thing(thingName=f"acme--{DEVICE}")


@pytest.mark.soak(seconds=600)
def test_a_second_attempt_ends_the_download(
    pytestconfig: pytest.Config, deployed: DeployedService, device: str
) -> None:
    """A job of IoT Jobs of its own, whose event the platform's rule writes down as a round's."""
    if not pytestconfig.getoption("--soak"):
        pytest.skip("takes two minutes, and moves the clock that other tests share: make soak")
    jobs: Any = deployed.setup.cloud.client("iot-jobs-data")
    asked = {"artifact": "recipes/steel.json", "devices": [device]}
    asked |= {"retries": 1, "retry_minutes": 1}
    plan = deployed.call("POST", "/v1/downloads/plan", json=asked)
    assert plan.status_code == 201, plan.text
    started = deployed.call("POST", "/v1/downloads", json={"plan": plan.json()["id"]})
    assert started.status_code == 202, started.text
    given: list[str] = []
    looked = time.monotonic()

    def is_over(seen: dict[str, Any]) -> bool:
        nonlocal looked
        thing = f"acme--{device}"
        found = jobs.start_next_pending_job_execution(thingName=thing).get("execution")
        if found is not None:
            given.append(found["jobId"])
            status = "FAILED" if len(given) == 1 else "SUCCEEDED"
            jobs.update_job_execution(jobId=found["jobId"], thingName=thing, status=status)
        if time.monotonic() - looked > _IDLE_SECONDS:
            deployed.setup.cloud.limits.clock.advance(60)  # as far as the next look is away
            looked = time.monotonic()
        return seen["state"] not in {"created", "queued", "in_progress"}

    seen = deployed.watch(started.headers["Location"], is_over, seconds=240)
    assert (seen["state"], seen["counts"]) == ("succeeded", {"succeeded": 1})
    assert [one["detail"] for one in seen["deliveries"]] == [{"attempt": "2"}]
    name = f"acme--{seen['id']}-00"
    assert given == [name, f"{name}r01"]

    def is_told(trail: dict[str, Any]) -> bool:
        return len([one for one in trail["entries"] if one["kind"] == "outcome"]) == 2

    trail = deployed.watch(f"/v1/audit?command={seen['id']}", is_told, seconds=180)
    ends = [one["outcome"]["devices"][device] for one in trail["entries"] if one["outcome"]]
    assert [(one["state"], one.get("attempt")) for one in ends] == [
        ("succeeded", 2),
        ("failed", None),
    ]
