"""A wanted version on the embedded cloud: real agents come to it, whenever they come."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents
from tests.service.adapters.on_the_embedded_cloud.test_files import digest, ended, sent, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PACKAGE = "wanted-app"
GROUP = "wanted-line"
WISH = f"/v1/groups/{GROUP}/wanted-versions/{PACKAGE}"
DEVICES = ("wanted-there", "wanted-away", "wanted-later")
AN_HOUR = 6_000  # devices


@pytest.fixture
def file(deployed: DeployedService) -> str:
    """Version 2.0 of the package, uploaded and verified; its id."""
    content = b"the new version"
    body = {"name": "apps/wanted.bin", "size": len(content), "sha256": digest(content)}
    body |= {"package": {"name": PACKAGE, "version": "2.0"}}
    begun = deployed.call("POST", "/v1/files", json=body)
    assert begun.status_code == 201, begun.text
    file_id = begun.json()["id"]
    assert sent(signed(deployed, file_id, 1, content), content).status_code == 200
    assert ended(deployed, file_id)["state"] == "available"
    return file_id


@pytest.fixture
def group(deployed: DeployedService) -> Iterator[str]:
    """Three things of acme, the first two of them in a group of their own."""
    iot = deployed.setup.cloud.client("iot")
    assert deployed.call("POST", "/v1/groups", json={"id": GROUP}).status_code == 201
    for device in DEVICES:
        iot.create_thing(thingName=f"acme--{device}")
    for device in DEVICES[:2]:
        join(deployed, device)
    yield GROUP
    for device in DEVICES:
        iot.delete_thing(thingName=f"acme--{device}")


def join(deployed: DeployedService, device: str) -> None:
    """Put a device into the group, which has the worker look what is wanted of it."""
    answer = deployed.call("PUT", f"/v1/devices/{device}/groups", json={"groups": [GROUP]})
    assert answer.status_code == 200, answer.text


def batches(deployed: DeployedService, number: int) -> list[str]:
    """The downloads of the wish, once there are so many."""
    url = f"/v1/downloads?group={GROUP}"
    seen = deployed.watch(url, lambda seen: len(seen["downloads"]) >= number)
    return [f"/v1/downloads/{one['id']}" for one in seen["downloads"]]


def rested(deployed: DeployedService, batch: str, devices: int) -> None:
    """Return once the wish's rate lets others begin after a batch.

    Who joins before that waits for the worker's timer, which is exact to a minute: how that ends
    is tested on the twins, whose minute takes no time.
    """
    taken = datetime.fromisoformat(deployed.call("GET", batch).json()["created_at"])
    left = taken + devices * timedelta(hours=1) / AN_HOUR - datetime.now(UTC)
    time.sleep(max(0.0, left.total_seconds()))


def test_agents_come_to_it_whenever_they_come(
    deployed: DeployedService, file: str, group: str, tmp_path: Path
) -> None:
    """One that is there, one that was away as the job was made, and one that joins later."""
    there = RealAgents(deployed.setup.cloud, [DEVICES[0]], tmp_path / "there")
    late = RealAgents(deployed.setup.cloud, [*DEVICES[1:]], tmp_path / "late")
    there.start()
    try:
        asked = {"file": file, "devices_per_hour": AN_HOUR}
        wished = deployed.call("PUT", WISH, json=asked)
        assert wished.status_code == 200, wished.text
        [first] = batches(deployed, 1)
        deployed.watch(first, lambda seen: seen["counts"].get("succeeded") == 1)
        assert deployed.call("GET", WISH).json()["counts"] == {"begun": 2}
        late.start()
        deployed.watch(first, lambda seen: seen["state"] == "succeeded")
        rested(deployed, first, devices=2)
        join(deployed, DEVICES[2])
        [second, _] = batches(deployed, 2)
        deployed.watch(second, lambda seen: seen["state"] == "succeeded")
        join(deployed, DEVICES[2])  # once more, to have the worker look: else it does so each hour
        deployed.watch(WISH, lambda seen: seen["counts"] == {"there": 3})
    finally:
        there.stop()
        late.stop()
    assert there.installed + late.installed == dict.fromkeys(DEVICES, 1)
    found = deployed.call("GET", f"/v1/versions/{PACKAGE}").json()["devices"]
    assert [(one["device"], one["version"]) for one in found] == [
        (device, "2.0") for device in sorted(DEVICES)
    ]
    assert deployed.call("DELETE", WISH).status_code == 200
