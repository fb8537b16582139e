"""Whatever is raised at whatever seam, once: each command and job ends in a state, with words.

The seams are found by walking the code, and broken in a copy of it; a device of that copy lives
once for each break. What nobody foresaw may cost a command or a file its success. It must not take
the device out of service, leave anything without an end, or keep the next start from happening.
"""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from tests.device_sdk.devices import new_command
from tests.device_sdk.downloads.object_server import ObjectServer
from tests.device_sdk.seams import device_process, walk
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.device_sdk.devices import Device, Observer, Tenant
    from tests.soak import SoFar

SECONDS = 40
LEAST_SEAMS = 900
LEAST_REACHED = 300


class Break(NamedTuple):
    """Where, what, and at the how many times that the seam is passed."""

    seam: str
    error: str
    at: int


class Lives:
    """The process of the breakable copy."""

    def __init__(self, folder: Path, config_file: Path) -> None:
        self.seams = walk.breakable(folder)
        self._folder, self._config_file = folder, config_file
        self._begin()

    def _begin(self) -> None:
        script = Path(device_process.__file__)
        with (self._folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(script), str(self._config_file)],
                env={**os.environ, "PYTHONPATH": str(self._folder), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def anew(self) -> None:
        """The process hangs: another takes its place."""
        self.close()
        self._begin()

    def say(self, told: dict[str, Any]) -> None:
        """A line for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Its next answer."""
        return self._answers.get(timeout=SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, as it is."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._reader.join(SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Field:
    """A device of the copy, and those who send to it."""

    def __init__(
        self,
        tenant: Tenant,
        observer: Observer,
        device: Device,
        lives: Lives,
        server: ObjectServer,
    ) -> None:
        self._tenant, self._observer = tenant, observer
        self._device, self._lives, self._server = device, lives, server
        self._iot = tenant.cloud.client("iot")
        self._thing = self._iot.describe_thing(thingName=device.thing)["thingArn"]
        self._jobs = 0
        self.passed: dict[str, int] = {}
        self._ended_well = True

    @property
    def seams(self) -> list[str]:
        """All that were found."""
        return self._lives.seams

    def life(self, broken: Break | None) -> str | None:
        """One life with a break, or without; what was wrong with it."""
        try:
            wrong = self._life(broken)
        except queue.Empty:
            self._lives.anew()
            return "it hangs"
        # What was raised out of the agent ends its process, and with it its hold on the folder.
        if broken is not None and not self._ended_well:
            self._lives.anew()
        return wrong

    def _life(self, broken: Break | None) -> str | None:
        self._lives.say(broken._asdict() if broken is not None else {})
        begun = self._lives.hear()
        states: list[str] = []
        wrong: list[str] = []
        if begun["begun"]:
            try:
                states = self._serve()
            except AssertionError as error:
                wrong.append(f"no end: {str(error)[:300]}")
            self._lives.say({})
        ended = self._lives.hear()
        said = self._lives.hear()["said"]
        self.passed = ended["passed"]
        self._ended_well = begun["begun"] and ended["ended"] == "well"
        if broken is None:
            assert (begun, wrong, ended["ended"]) == ({"begun": True}, [], "well"), said
            assert states == ["succeeded", "succeeded", "SUCCEEDED", "succeeded"], said
            assert ended["afterwards"] == 1
            return None
        told = [*said, json.dumps(begun), ended["ended"], json.dumps(states)]
        if not begun["begun"] and "broken on purpose" not in begun["error"]:
            wrong.append(f"it did not begin, for another reason: {begun['error']}")
        if ended["ended"] != "well" and "broken on purpose" not in ended["ended"]:
            wrong.append(f"it did not end well: {ended['ended']}")
        if states and states[-1] != "succeeded":
            wrong.append(f"the last command did not succeed: {states}")
        if wrong:
            wrong.append("\n   ".join(each[:300] for each in told[-12:]))
        return "; ".join(wrong) or None

    def _serve(self) -> list[str]:
        """How two commands and a job end, and then one more command."""
        self._jobs += 1
        job_id = f"workshop--seams-{os.getpid()}-{self._jobs}"
        self._server.put(os.urandom(2000))
        self._iot.create_job(
            jobId=job_id, targets=[self._thing], document=self._server.document("a.bin").encode()
        )
        first = [self._command("echo"), self._command("act")]
        ended = self._observer.await_all(first, seconds=SECONDS)
        states = [ended[each][-1].state.value for each in first]
        states.append(self._job_end(job_id))
        for _ in range(2):  # the break may have waited for the first of them
            last = self._observer.final(self._command("echo"), seconds=SECONDS).state.value
            states.append(last)
            if last == "succeeded":
                break
        return states

    def _command(self, name: str) -> str:
        return self._tenant.send(new_command(self._device.thing, name, arguments={"a": 1}))

    def _job_end(self, job_id: str) -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            told = self._iot.describe_job_execution(jobId=job_id, thingName=self._device.thing)
            if (status := told["execution"]["status"]) not in ("QUEUED", "IN_PROGRESS"):
                return status
            assert time.monotonic() < deadline, told
            time.sleep(0.02)  # who orders is told nothing


@pytest.fixture(scope="module")
def field(
    tenant: Tenant, observer: Observer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Field]:
    """The device, whose file server is the test's own."""
    folder = tmp_path_factory.mktemp("seams")
    device = tenant.device(folder / "device", settings={"log_level": "DEBUG"})
    with Lives(folder / "copy", device.config_file) as lives, ObjectServer(b"x") as server:
        yield Field(tenant, observer, device, lives, server)


def test_seams_are_found_in_the_whole_code(field: Field):
    """The walk sees what it must, e.g. the thread's own function, and no fewer than there were."""
    assert len(field.seams) > LEAST_SEAMS
    for file, call in {
        "guard.py": "self._loop()",
        "commands/executor.py": "function()",
        "commands/invocation.py": "handler.function(command)",
        "connection/mqtt.py": "self._message(topic, content, acknowledge)",
        "enrollment/rotation.py": "tls_context(*load_credentials(config))",
        "downloads/jobs.py": "DownloadDocument.decode(content)",
        "downloads/transfer.py": "self._callbacks.on_verified(self._target.path)",
        "store/state_folder.py": "fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
    }.items():
        found = [walk.ast.unparse(each) for each in walk.seams(walk.SOURCES / file).values()]
        assert call in found, (file, found)


@pytest.mark.soak(seconds=4 * 3600)
@pytest.mark.timeout(600)
def test_nothing_raised_anywhere_ends_the_service(
    field: Field,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
    so_far: SoFar,
):
    """Each error at each seam that a life passes (a drawn part of them, unless asked for all).

    ``CEDARFLEET_SEAMS=store/`` breaks only those whose names begin so.
    """
    seed = new_seed()
    rng = random.Random(seed)  # noqa: S311 - moments of a test
    field.life(None)
    passed = {name: count for name, count in field.passed.items() if count}
    assert len(passed) > LEAST_REACHED
    every = [
        Break(name, error, rng.randint(1, count))
        for name, count in sorted(passed.items())
        if name.startswith(os.environ.get("CEDARFLEET_SEAMS", ""))
        for error in device_process.ERRORS
    ]
    breaks = rng.sample(every, min(faults(10, len(every)), len(every)))
    so_far(f"CEDARFLEET_SEED={seed}, {len(breaks)} breaks of {len(every)}")
    wrong: list[tuple[Break, str]] = []
    for number, each in enumerate(breaks, 1):
        if (found := field.life(each)) is not None:
            wrong.append((each, found))
        so_far(f"{number}: {each.error} at {each.seam}, passage {each.at}: {found or 'well'}")
    record_property("faults", f"{len(breaks)} breaks of {len(every)}, {len(passed)} seams passed")
    assert not wrong, f"CEDARFLEET_SEED={seed}\n" + "\n".join(f"{b}: {w}" for b, w in wrong)
