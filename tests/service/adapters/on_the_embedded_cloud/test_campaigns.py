"""A campaign whose worker is killed on the way: each agent does it once, the others are told."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

NUMBER = 55  # three batches
# A message whose task died is given out again after so many seconds.
AGAIN = {"CEDARFLEET_WORK_HANDLING_SECONDS": "2"}


@pytest.fixture
def agents(deployed: DeployedService, tmp_path: Path) -> Iterator[RealAgents]:
    """Three agents, in the first and the last batch, among things that are away."""
    cloud = deployed.setup.cloud
    iot = cloud.client("iot")
    for one in named():
        iot.create_thing(thingName=f"acme--{one}")
    made = RealAgents(cloud, [named()[0], named()[1], named()[-1]], tmp_path)
    made.start()
    yield made
    made.stop()
    for one in named():
        iot.delete_thing(thingName=f"acme--{one}")


def named() -> list[str]:
    """The devices of the campaign."""
    return [f"camp-{number:03}" for number in range(NUMBER)]


def watch(
    deployed: DeployedService, url: str, until: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Read it as an app does until it is so."""
    began = time.monotonic()
    while True:
        seen = deployed.call("GET", url).json()
        if until(seen):
            return seen
        assert time.monotonic() - began < 90, seen
        time.sleep(0.2)


def test_a_killed_worker_sends_to_each_device_once(
    deployed: DeployedService, agents: RealAgents
) -> None:
    """SIGKILL between two batches: agents reboot once each, who is away is taken back."""
    assert deployed.worker.stop() == 0
    body = {"name": "reboot", "devices": named(), "timeout_seconds": 600}
    answer = deployed.call("POST", "/v1/campaigns", json=body, headers={"Idempotency-Key": "camp"})
    assert answer.status_code == 202, answer.text
    url = answer.headers["Location"]
    with deployed.setup.start_worker(**AGAIN) as worker:
        worker.await_event("campaign.batch_sent", seconds=60)
        os.kill(worker.pid, signal.SIGKILL)
    again = deployed.call("POST", "/v1/campaigns", json=body, headers={"Idempotency-Key": "camp"})
    assert again.json()["id"] == answer.json()["id"]
    deployed.worker = deployed.setup.start_worker()
    seen = watch(deployed, url, lambda seen: seen["counts"].get("succeeded") == len(agents.ids))
    assert seen["counts"] == {"succeeded": 3, "published": NUMBER - 3}
    assert agents.rebooted == Counter(agents.ids), "once each"
    assert deployed.call("GET", url, tenant="globex").status_code == 404
    devices = deployed.call("GET", f"{url}/devices", params={"limit": 2}).json()
    [first, _] = devices["devices"]
    assert (first["device"], first["state"], first["policies"]) == (
        named()[0],
        "succeeded",
        ["managers-everything"],
    )
    command = deployed.call("GET", f"/v1/commands/{first['command']}").json()
    assert command["campaign"] == seen["id"]
    assert deployed.call("POST", f"{url}/cancel", json={}).status_code == 202
    watch(deployed, url, lambda seen: seen["state"] == "canceled")
    page = deployed.call("GET", f"{url}/devices", params={"limit": 100}).json()["devices"]
    away = [one["command"] for one in page if one["device"] not in agents.ids]
    assert len(away) == NUMBER - 3
    taken = deployed.call("GET", f"/v1/commands/{away[0]}").json()
    assert taken["cancel_requested_at"] is not None
    [listed] = deployed.call("GET", "/v1/campaigns?name=reboot&limit=1").json()["campaigns"]
    assert listed["id"] == seen["id"]
