"""Power lost at any moment: real processes killed with SIGKILL, then started again."""

from __future__ import annotations

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.device_sdk.downloads.device_process import DELIVERED, REFUSED, Errand, run, start
from tests.device_sdk.downloads.object_server import ObjectServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.downloads.conftest import Device

RUNS = 100
AT_ONCE = 4
MIB = 1024 * 1024
OLD = b"the version before"


def errand(server: ObjectServer, home: Path, **changed: object) -> Errand:
    """Deliver the server's object below ``home``, where an older version stands."""
    from tests.device_sdk.downloads.conftest import Device  # noqa: PLC0415 - conftest belongs to pytest until then

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
            stall_seconds=10.0, parallel_from_seconds=0.0, parallel_from_bytes=3 * MIB, connections=2
        ),
    }
    return Errand(**(plain | changed))  # pyright: ignore[reportArgumentType]


def kill_after(errand_: Errand, seconds: float) -> int | None:
    """Start the errand, kill it after ``seconds``; the exit code."""
    process = start(errand_)
    process.join(seconds)
    if process.exitcode is None and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    code = process.exitcode
    process.close()
    return code


def visible(home: Path) -> dict[str, bytes]:
    """What stands in the download folder for all to see."""
    return {path.name: path.read_bytes() for path in (home / "files").iterdir() if not path.name.startswith(".")}


def hidden(home: Path) -> list[str]:
    """Temporary files and journals."""
    return [path.name for path in (*(home / "files").glob(".*"), *(home / "state/downloads").glob("*.json*"))]


def one_life(seed: int, home: Path) -> tuple[int, int]:
    """One download that is killed one to three times and then left alone: bytes sent for it, and kills."""
    rng = random.Random(seed)  # noqa: S311 - moments of a test
    content = rng.randbytes(4 * MIB if seed % 2 else 2 * MIB)
    kills = 0
    with ObjectServer(content, bytes_per_second=20 * MIB) as server:
        todo = errand(server, home)
        for _ in range(rng.randint(1, 3)):
            kills += kill_after(todo, rng.uniform(0, 1.1 * len(content) / server.bytes_per_second)) == -signal.SIGKILL  # pyright: ignore[reportOperatorIssue, reportUnknownArgumentType]
            assert visible(home) in ({"image.bin": OLD}, {"image.bin": content}), f"seed {seed}"
        assert run(todo) == DELIVERED, f"seed {seed}"
        assert visible(home) == {"image.bin": content}, f"seed {seed}"
        assert hidden(home) == [], f"seed {seed}"
        return server.sent, kills


@pytest.mark.timeout(120)
def test_a_hundred_killed_downloads_end_whole_and_cheap(tmp_path: Path):
    """None corrupt, none partial at the target, all complete in the end, at most 1.2 times the bytes."""
    first = random.SystemRandom().randrange(10**6)
    print(f"seeds {first} to {first + RUNS - 1}")
    seeds = range(first, first + RUNS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lives = list(pool.map(lambda seed: one_life(seed, tmp_path / str(seed)), seeds))
    asked = sum(4 * MIB if seed % 2 else 2 * MIB for seed in seeds)
    sent, kills = sum(life[0] for life in lives), sum(life[1] for life in lives)
    print(f"{kills} kills in {RUNS} downloads, {sent / asked:.3f} times the bytes")
    assert kills >= RUNS
    assert sent <= 1.2 * asked


def one_swap(seed: int, home: Path) -> int:
    """Kill a download, replace the object by another of equal size, go on: the exit code at the end."""
    rng = random.Random(seed)  # noqa: S311 - moments of a test
    content = rng.randbytes(1 * MIB)
    with ObjectServer(content, bytes_per_second=20 * MIB) as server:
        todo = errand(server, home)
        kill_after(todo, rng.uniform(0.01, 0.05))
        was_done = visible(home) == {"image.bin": content}
        server.put(rng.randbytes(1 * MIB))
        code = run(todo)
        expected = {"image.bin": content if was_done else OLD}
        assert visible(home) == expected, f"seed {seed}"
        assert code == (DELIVERED if was_done else REFUSED), f"seed {seed}"
        assert hidden(home) == [], f"seed {seed}"
        return code


@pytest.mark.timeout(120)
def test_a_hundred_swapped_objects_never_become_a_file(tmp_path: Path):
    """Kill, swap, resume: the old file stays and the download says that the object is not the announced one."""
    first = random.SystemRandom().randrange(10**6)
    print(f"seeds {first} to {first + RUNS - 1}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        codes = list(pool.map(lambda seed: one_swap(seed, tmp_path / str(seed)), range(first, first + RUNS)))
    assert codes.count(REFUSED) > RUNS // 2  # else the kills came too late to show anything


@pytest.mark.timeout(120)
def test_every_change_of_a_file_may_be_the_last(tmp_path: Path):
    """Killed before each single open, rename, link, remove and truncate, the download ends right when started again."""
    content = random.Random(3).randbytes(700_000)  # noqa: S311 - content, not a secret
    with ObjectServer(content) as server:

        def crash_at(change: int) -> int:
            home = tmp_path / str(change)
            code = run(errand(server, home, die_at_change=change))
            assert visible(home) in ({"image.bin": OLD}, {"image.bin": content}), f"change {change}"
            assert run(errand(server, home)) == DELIVERED, f"change {change}"
            assert visible(home) == {"image.bin": content}, f"change {change}"
            assert hidden(home) == [], f"change {change}"
            return code

        codes: list[int] = []
        while not codes or codes[-1] != DELIVERED:
            codes.append(crash_at(len(codes) + 1))
    print(f"{len(codes) - 1} changes")
    assert len(codes) > 20
    assert set(codes[:-1]) == {-signal.SIGKILL}


def test_power_lost_in_the_hook_runs_it_again_and_can_still_roll_back(device: Device, tmp_path: Path):
    """The hook is repeated after a kill inside it; when it fails then, the version before it all comes back."""
    with ObjectServer(os.urandom(300_000)) as server:
        assert run(errand(server, tmp_path, die_in_hook=True)) == -signal.SIGKILL
        assert visible(tmp_path) == {"image.bin": server.content}
        sent = server.sent
        assert run(errand(server, tmp_path, die_in_hook=True)) == -signal.SIGKILL
        assert run(errand(server, tmp_path, fail_in_hook=True)) == REFUSED
        assert server.sent == sent
        assert visible(tmp_path) == {"image.bin": OLD}
        assert hidden(tmp_path) == []
