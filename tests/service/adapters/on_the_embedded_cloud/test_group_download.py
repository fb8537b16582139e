"""A download to many devices, whose worker is killed on the way: each device gets it, once.

Some of them are real agents, which fetch the file; the others speak the wire of IoT Jobs as an
agent does: start next, read the document, report.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from infra.local.processes import ChildError
from tests.seed import new_seed
from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

_LONGEST_SECONDS = 3000
_ASKING = Path(__file__).with_name("asking_devices.py")
_AT_ONCE = 250  # devices that ask between two looks at the download
_IDLE_SECONDS = 3  # after which nothing more comes before the next look
_ASKED_AGAIN_SECONDS = 0.2  # as an app that polls does; at once, cloud and service do nothing else
_ROWS_AT_ONCE = 25  # of one BatchWriteItem
GROUP = "zone-hall-1"
# A message whose task died is given out again after so many seconds.
AGAIN = {"CEDARFLEET_WORK_HANDLING_SECONDS": "2", "CEDARFLEET_DEVICES_PER_MINUTE": "10000"}


class Devices:
    """Things of acme in one group: how many jobs each is in, and how often each was given one."""

    def __init__(self, deployed: DeployedService, number: int, agents: int, folder: Path) -> None:
        self.cloud = deployed.setup.cloud
        self.all = [f"many-{one:05}" for one in range(number)]
        # All over the download's jobs.
        self.agents = RealAgents(self.cloud, self.all[:: number // agents][:agents], folder)
        self._known = frozenset(self.all)
        self._askers = self._known.difference(self.agents.ids)
        self.ids = sorted(self._askers)
        self.given: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self._jobs: set[str] = set()
        self._asking: list[str] = []

    def make(self) -> None:
        """Make the things, each with facts that put it into the group."""
        iot, dynamodb = self.cloud.client("iot"), self.cloud.client("dynamodb")
        for first in range(0, len(self.all), _ROWS_AT_ONCE):
            several = self.all[first : first + _ROWS_AT_ONCE]
            rows = [
                {
                    "partition": {"S": "acme--devices"},
                    "sk": {"S": f"{device}#facts"},
                    "attributes": {"M": {}},
                    "groups": {"L": [{"S": GROUP}]},
                    "tags": {"M": {}},
                    "version": {"N": "1"},
                    "origin": {"S": iot.create_thing(thingName=f"acme--{device}")["thingId"]},
                    "created_at": {"N": "1"},
                    "changed_at": {"N": "1"},
                    "changed_by": {"S": "test"},
                }
                for device in several
            ]
            puts = [{"PutRequest": {"Item": row}} for row in rows]
            answer = dynamodb.batch_write_item(RequestItems={"cedarfleet-devices": puts})
            assert not answer["UnprocessedItems"]

    def start(self) -> None:
        """Have the agents connect, and start the process of the others."""
        self.agents.start()
        self._process = subprocess.Popen(
            [sys.executable, str(_ASKING)],
            env={**os.environ, **self.cloud.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("it was started with pipes")
        self._to, self._from = self._process.stdin, self._process.stdout

    def stop(self) -> None:
        """End them all, and delete the things, whose rows then count for nothing."""
        self._process.communicate(timeout=20)
        self.agents.stop()
        for device in self.all:
            self.cloud.client("iot").delete_thing(thingName=f"acme--{device}")

    def ask_some(self) -> bool:
        """Have some devices ask for their job, as ones that IoT Jobs has told of it.

        Whether there were any; a few at a time, so that the cloud answers the service meanwhile.
        """
        iot = self.cloud.client("iot")
        pages = iot.get_paginator("list_jobs").paginate(maxResults=250)
        for job in [job["jobId"] for page in pages for job in page["jobs"]]:
            if job not in self._jobs:
                self._jobs.add(job)
                targets = iot.describe_job(jobId=job)["job"]["targets"]
                new = [arn.rpartition("/acme--")[2] for arn in targets]
                self.told.update(one for one in new if one in self._known)
                self._asking += [one for one in new if one in self._askers]
        some, self._asking = self._asking[:_AT_ONCE], self._asking[_AT_ONCE:]
        if some:
            print(json.dumps([f"acme--{one}" for one in some]), file=self._to, flush=True)
            answer = self._from.readline()
            if not answer:
                raise AssertionError(f"the devices' process ended: {self._process.wait()}")
            self.given.update(one for one, had in zip(some, json.loads(answer), strict=True) if had)
        return bool(some)


@pytest.fixture
def devices(
    deployed: DeployedService, faults: Callable[[int, int], int], tmp_path: Path
) -> Iterator[Devices]:
    """250 devices, 3 of them real agents; 10,000 and 100 in the soak."""
    made = Devices(deployed, faults(250, 10_000), faults(3, 100), tmp_path)
    made.make()
    made.start()
    yield made
    made.stop()


@pytest.mark.soak
@pytest.mark.timeout(3600)  # the soak: 10,000 devices, 100 kills
def test_a_killed_worker_loses_nothing_and_does_nothing_twice(
    deployed: DeployedService,
    devices: Devices,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL wherever it is: each device is given one document, and the download ends."""
    kills, began, again = faults(2, 100), time.monotonic(), dict(AGAIN)
    draw = random.Random(new_seed())  # noqa: S311 - of where it dies
    assert deployed.worker.stop() == 0
    body = {"group": GROUP, "artifact": "recipes/steel.json"}
    answer = deployed.call("POST", "/v1/downloads", json=body)
    assert answer.status_code == 202, answer.text
    accepted = time.monotonic() - began
    for _ in range(kills):
        with deployed.setup.start_worker(**again) as worker:
            event = draw.choice(("download.looked_at", "job.made", "work.done"))
            with suppress(ChildError):
                worker.await_event(event, seconds=draw.uniform(0, 1.5))
            os.kill(worker.pid, signal.SIGKILL)
        deployed.setup.cloud.limits.clock.advance(60)
    # It holds what it works on, also while much else is asked of the laptop's cloud.
    del again["CEDARFLEET_WORK_HANDLING_SECONDS"]
    deployed.worker = deployed.setup.start_worker(**again)
    moved = time.monotonic()

    def is_over(seen: dict[str, Any]) -> bool:
        nonlocal moved
        if devices.ask_some():
            moved = time.monotonic()
        elif time.monotonic() - moved > _IDLE_SECONDS:
            deployed.setup.cloud.limits.clock.advance(60)  # as far as the next look is away
            moved = time.monotonic()
        else:
            time.sleep(_ASKED_AGAIN_SECONDS)
        return seen["state"] not in {"created", "queued", "in_progress"}

    seen: dict[str, Any] = {"state": "created"}
    while not is_over(seen):
        assert time.monotonic() - began < _LONGEST_SECONDS, seen
        # An app that polls asks again; a cloud of so many devices is slow on a laptop.
        with suppress(httpx.TimeoutException):
            answered = deployed.call("GET", answer.headers["Location"])
            seen = answered.json() if answered.status_code == HTTPStatus.OK else seen
    assert (seen["state"], seen["counts"]) == ("succeeded", {"succeeded": len(devices.all)})
    history = deployed.call("GET", f"/v1/devices/{devices.ids[-1]}/downloads").json()["downloads"]
    assert [(one["id"], one["group"], one["state"]) for one in history] == [
        (answer.json()["id"], GROUP, "succeeded")
    ]
    devices.ask_some()
    assert devices.told == Counter(devices.all), "one job each"
    assert devices.given == Counter(devices.ids), "one document each"
    assert devices.agents.installed == Counter(devices.agents.ids), "the file, once each"
    record_property(
        "faults",
        f"{kills} kills, {len(devices.all)} devices, {len(devices.agents.ids)} of them real agents;"
        f" accepted after {accepted:.1f} s, over after"
        f" {time.monotonic() - began:.0f} s",
    )
