"""Power lost at any moment: real processes killed with SIGKILL, then started again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.device_sdk.downloads.device_process import DELIVERED, REFUSED, DownloadTask, run, start
from tests.device_sdk.downloads.object_server import ObjectServer
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.device_sdk.downloads.conftest import Device
    from tests.soak import SoFar

RUNS = (30, 900)  # downloads that are killed, bounded and in full
SWAPS = (30, 1200)  # downloads whose object is swapped after a kill, likewise
MOST_KILLS = 1000  # that hit, of either kind, of the full number
MIB = 1024 * 1024
PACE = 80 * MIB  # slow enough that a kill falls into the transfer
OLD = b"the version before"


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: ``kill -9`` takes no written byte back."""
    shared = Path("/dev/shm")  # noqa: S108 - made private by TemporaryDirectory
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


def task(server: ObjectServer, home: Path, **changed: object) -> DownloadTask:
    """Deliver the server's object below ``home``, where an older version stands."""
    from tests.device_sdk.downloads.conftest import Device  # noqa: PLC0415 - pytest's until then

    device = Device(folder=home / "files", state_dir=home / "state")
    target = device.folder / "image.bin"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(OLD)
    plain: dict[str, object] = {
        "document": server.document("image.bin"),
        "folder": device.folder,
        "state_dir": device.state_dir,
        "limits": device.limits(
            stall_seconds=10.0,
            parallel_from_seconds=0.0,
            parallel_from_bytes=3 * MIB,
            connections=2,
        ),
    }
    return DownloadTask(**(plain | changed))  # pyright: ignore[reportArgumentType]


def kill_at(task_: DownloadTask, server: ObjectServer, sent: float) -> int | None:
    """Start the task and kill it once the server has sent so many bytes more; the exit code."""
    limit = server.sent + sent
    process = start(task_)
    while process.exitcode is None and server.sent < limit:
        process.join(0.001)
    if process.exitcode is None and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    code = process.exitcode
    process.close()
    return code


def visible(home: Path) -> dict[str, bytes]:
    """What stands in the download folder for all to see."""
    return {
        path.name: path.read_bytes()
        for path in (home / "files").iterdir()
        if not path.name.startswith(".")
    }


def hidden(home: Path) -> list[str]:
    """Temporary files and journals."""
    return [
        path.name
        for path in (*(home / "files").glob(".*"), *(home / "state/downloads").glob("*.json*"))
    ]


def journalled(home: Path) -> int:
    """Bytes that the journal says are on the disk."""
    for path in (home / "state/downloads").glob("*.json"):
        entry = json.loads(path.read_text())
        return entry["prefix"] + sum(end - start for start, end in entry["beyond"])
    return 0


def one_download(seed: int, home: Path) -> tuple[int, int]:
    """One download that is killed once or twice, then left alone: bytes sent, and kills."""
    rng = random.Random(seed)  # noqa: S311 - moments of a test
    content = rng.randbytes(4 * MIB if seed % 2 else 2 * MIB)
    kills = 0
    with ObjectServer(content, bytes_per_second=PACE) as server:
        todo = task(server, home)
        for _ in range(rng.randint(1, 2)):
            kills += kill_at(todo, server, rng.uniform(0, 0.9 * len(content))) == -signal.SIGKILL
            assert visible(home) in ({"image.bin": OLD}, {"image.bin": content}), f"seed {seed}"
        delivered = visible(home) == {"image.bin": content}
        server.await_idle()
        kept, sent = len(content) if delivered else journalled(home), server.sent
        assert run(todo) == DELIVERED, f"seed {seed}"
        server.await_idle()  # it counts a slice once the socket has it, which may be after the end
        # How much the journal lags behind what arrived is asserted in `test_partial_file.py`; what
        # was still in the kernel's buffers at a kill depends on the machine.
        assert server.sent - sent == len(content) - kept, f"seed {seed}"
        assert visible(home) == {"image.bin": content}, f"seed {seed}"
        assert hidden(home) == [], f"seed {seed}"
        return server.sent, kills


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_killed_downloads_end_whole_and_cheap(
    memory: Path,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
    so_far: SoFar,
):
    """None corrupt or partial at the target, all complete, and nothing journalled sent again."""
    first, runs = new_seed(), faults(*RUNS)
    seeds = range(first, first + runs)
    downloads: list[tuple[int, int]] = []
    for seed in seeds:
        downloads.append(one_download(seed, memory / str(seed)))
        kills = sum(each[1] for each in downloads)
        so_far(f"{len(downloads)} of {runs} from seed {first}: {kills} kills")
        shutil.rmtree(memory / str(seed))
    asked = sum(4 * MIB if seed % 2 else 2 * MIB for seed in seeds)
    sent, kills = sum(each[0] for each in downloads), sum(each[1] for each in downloads)
    record_property(
        "faults", f"{kills} kills in {runs} downloads, {sent / asked:.3f} times the bytes"
    )
    assert kills >= (MOST_KILLS if runs == RUNS[1] else runs)


def one_swap(seed: int, home: Path) -> tuple[int, bool]:
    """Kill a download, replace the object by one of equal size, go on: the exit code, and a kill.

    Half of the other objects have the first one's ETag too.
    """
    rng = random.Random(seed)  # noqa: S311 - moments of a test
    content = rng.randbytes(1 * MIB)
    with ObjectServer(content, bytes_per_second=PACE) as server:
        todo = task(server, home)
        hit = kill_at(todo, server, rng.uniform(0, len(content))) == -signal.SIGKILL
        etag = server.etag
        server.put(rng.randbytes(1 * MIB))
        if seed % 2:
            server.etag = etag
        code = run(todo)
        # All announced bytes may have been on the disk, verified, when the kill came: then they are
        # delivered.
        outcome = (code, visible(home)["image.bin"])
        assert outcome in ((REFUSED, OLD), (DELIVERED, content)), f"seed {seed}"
        assert hidden(home) == [], f"seed {seed}"
        return code, hit


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_swapped_objects_never_become_a_file(
    memory: Path,
    faults: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
    so_far: SoFar,
):
    """Kill, swap, resume: the old file stays, since the object is not the announced one."""
    first, runs = new_seed(), faults(*SWAPS)
    kills = refused = 0
    for number, seed in enumerate(range(first, first + runs), 1):
        code, hit = one_swap(seed, memory / str(seed))
        kills += hit
        refused += hit and code == REFUSED
        so_far(f"{number} of {runs} from seed {first}: {kills} kills, {refused} refused")
        shutil.rmtree(memory / str(seed))
    record_property(
        "faults", f"{kills} kills with a swap in {runs} downloads, {refused} before all bytes came"
    )
    assert refused > runs // 2  # else the kills came too late to show anything
    assert runs < SWAPS[1] or kills >= MOST_KILLS


@pytest.mark.timeout(120)
def test_every_change_of_a_file_may_be_the_last(memory: Path):
    """Killed before any open, rename, link, remove or truncate, the download resumes rightly."""
    content = random.Random(3).randbytes(700_000)  # noqa: S311 - content, not a secret
    with ObjectServer(content) as server:

        def crash_at(change: int) -> int:
            home = memory / str(change)
            code = run(task(server, home, die_at_change=change))
            assert visible(home) in ({"image.bin": OLD}, {"image.bin": content}), f"change {change}"
            assert run(task(server, home)) == DELIVERED, f"change {change}"
            assert visible(home) == {"image.bin": content}, f"change {change}"
            assert hidden(home) == [], f"change {change}"
            return code

        codes: list[int] = []
        while not codes or codes[-1] != DELIVERED:
            codes.append(crash_at(len(codes) + 1))
    print(f"{len(codes) - 1} changes")
    assert len(codes) > 20
    assert set(codes[:-1]) == {-signal.SIGKILL}


def test_a_hook_that_lost_power_runs_again_and_may_roll_back(device: Device, memory: Path):
    """The hook is repeated after a kill inside it.

    When it fails then, the version before it all comes back.
    """
    with ObjectServer(os.urandom(300_000)) as server:
        assert run(task(server, memory, die_in_hook=True)) == -signal.SIGKILL
        assert visible(memory) == {"image.bin": server.content}
        sent = server.sent
        assert run(task(server, memory, die_in_hook=True)) == -signal.SIGKILL
        assert run(task(server, memory, fail_in_hook=True)) == REFUSED
        assert server.sent == sent
        assert visible(memory) == {"image.bin": OLD}
        assert hidden(memory) == []
