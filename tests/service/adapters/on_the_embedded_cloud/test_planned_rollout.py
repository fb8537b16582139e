"""A planned rollout on the embedded cloud: real agents get it wave after wave, each once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

GROUP = "waves-line"
_IDLE_SECONDS = 3  # after which nothing more comes before the next look
DEVICES = ("waves-1", "waves-2", "waves-3")


@pytest.fixture
def agents(deployed: DeployedService, tmp_path: Path) -> Iterator[RealAgents]:
    """Three agents of acme, whose things are in a group of their own."""
    iot = deployed.setup.cloud.client("iot")
    assert deployed.call("POST", "/v1/groups", json={"id": GROUP}).status_code == 201
    for device in DEVICES:
        iot.create_thing(thingName=f"acme--{device}")
        where = f"/v1/devices/{device}/groups"
        assert deployed.call("PUT", where, json={"groups": [GROUP]}).status_code == 200
    made = RealAgents(deployed.setup.cloud, [*DEVICES], tmp_path)
    made.start()
    yield made
    made.stop()
    for device in DEVICES:
        iot.delete_thing(thingName=f"acme--{device}")


def told_of(trail: dict[str, Any]) -> dict[str, str]:
    """How it ended on each device, as the audit tells."""
    ends = [one["outcome"]["devices"] for one in trail["entries"] if one["kind"] == "outcome"]
    return {device: end["state"] for devices in ends for device, end in devices.items()}


def test_waves_reach_real_agents_one_after_the_other(
    deployed: DeployedService, agents: RealAgents
) -> None:
    """The second wave begins once the first has ended on its device; nobody gets it twice."""
    asked = {"artifact": "recipes/steel.json", "group": GROUP}
    asked |= {"waves": [{"devices": 1}], "ended_percent": 100}
    plan = deployed.call("POST", "/v1/downloads/plan", json=asked)
    assert plan.status_code == 201, plan.text
    assert (plan.json()["waves"], plan.json()["counts"]) == ([1, 2], {"allowed": 3})
    started = deployed.call("POST", "/v1/downloads", json={"plan": plan.json()["id"]})
    assert started.status_code == 202, started.text
    url = started.headers["Location"]
    looked = time.monotonic()

    def is_over(seen: dict[str, Any]) -> bool:
        nonlocal looked
        if time.monotonic() - looked > _IDLE_SECONDS:
            deployed.setup.cloud.limits.clock.advance(60)  # as far as the next look is away
            looked = time.monotonic()
        return seen["state"] not in {"created", "queued", "in_progress"}

    seen = deployed.watch(url, is_over, seconds=120)
    assert (seen["state"], seen["counts"]) == ("succeeded", {"succeeded": 3})
    [one, rest] = seen["rollout"]["waves"]
    assert (one["devices"], rest["devices"]) == (1, 2)
    ended = {each["device"]: each["updated_at"] for each in seen["deliveries"]}
    assert ended[DEVICES[0]] <= rest["began_at"] <= min(ended[each] for each in DEVICES[1:])
    assert agents.installed == dict.fromkeys(DEVICES, 1)

    def is_told(trail: dict[str, Any]) -> bool:
        return set(told_of(trail)) == {*DEVICES}

    trail = deployed.watch(f"/v1/audit?command={seen['id']}", is_told, seconds=60)
    assert set(told_of(trail).values()) == {"succeeded"}
    began = [one["id"] for one in trail["entries"] if one["action"] == "DownloadFile"]
    ends = [one for one in trail["entries"] if one["kind"] == "outcome"]
    assert [one["about"] for one in ends] == [
        {"download": seen["id"], "decision": began[0]} for _ in ends
    ]
