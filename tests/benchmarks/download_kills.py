"""What kills and swapped objects do to downloads: ours beside curl, wget, aria2 and boto3."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from hashlib import sha256
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.download_subject import Subject, command, empty, in_memory
from tests.benchmarks.rows import Missing, Row
from tests.device_sdk.downloads.object_server import ObjectServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 1024 * 1024
SWAPS = 100
KILLS = 4
MOST_BYTES = 1.2


def rows(rounds: int) -> Iterator[Row | Missing]:
    """Every row about kills."""
    with in_memory() as home:
        wrong = sum(_swap(_ours, home, seed, seconds=0.2) for seed in range(SWAPS))
        yield Row(
            name="kill, swap the object, resume: wrong files",
            ours=float(wrong),
            unit=f"of {SWAPS}",
            target="0",
            met=wrong == 0,
            rounds=SWAPS,
        )
        tools = (
            ("curl", "curl", _curl, 0.2),
            ("wget", "wget", _wget, 0.2),
            ("aria2c", "aria2", _aria2, 2.5),
        )
        for program, package, tool, seconds in tools:
            name = f"the same with {program}: wrong files, exit 0"
            if shutil.which(program) is None:
                yield Missing(name=name, why=f"needs {program}: apt-get install {package}")
                continue
            wrong = sum(_swap(tool, home, seed, seconds=seconds) for seed in range(rounds))
            yield Row(
                name=name,
                ours=float(wrong),
                unit=f"of {rounds}",
                target="to compare",
                met=True,
                rounds=rounds,
            )
        yield _bytes_after_kills(home, rounds)


def _subject(server: ObjectServer) -> Subject:
    url = server.url.replace("/object?token=1", "/bucket/file")
    digest = sha256(server.content).hexdigest()
    return Subject(url=url, size=len(server.content), sha256=digest, etag=server.etag)


def _ours(subject: Subject, folder: Path) -> list[str]:
    return command("ours", subject, folder)


def _boto3(subject: Subject, folder: Path) -> list[str]:
    return command("boto3", subject, folder)


def _curl(subject: Subject, folder: Path) -> list[str]:
    return ["curl", "-sf", "-C", "-", "-o", str(folder / "file"), subject.url]


def _wget(subject: Subject, folder: Path) -> list[str]:
    return ["wget", "-q", "-c", "-t", "1", "-O", str(folder / "file"), subject.url]


def _aria2(subject: Subject, folder: Path) -> list[str]:
    return [
        *(
            "aria2c",
            "-q",
            "-c",
            "-x4",
            "-s4",
            "-k1M",
            "--file-allocation=none",
            "--auto-save-interval=1",
        ),
        *("-d", str(folder), "-o", "file", subject.url),
    ]


def _killed_at(arguments: list[str], server: ObjectServer, sent: float) -> None:
    """Run and kill once the server has sent so many bytes more."""
    limit = server.sent + sent
    with subprocess.Popen(
        arguments, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and server.sent < limit:
            server.closing.wait(0.001)
        process.send_signal(signal.SIGKILL)


def _swap(
    tool: Callable[[Subject, Path], list[str]], home: Path, seed: int, *, seconds: float
) -> bool:
    """Whether a killed and resumed tool calls a file good that is neither object."""
    rng = random.Random(seed)  # noqa: S311 - content and moments of a benchmark
    first, second = rng.randbytes(4 * MIB), rng.randbytes(4 * MIB)
    with empty(home) as folder, ObjectServer(first, checks_token=False) as server:
        server.bytes_per_second = int(len(first) / seconds)
        subject = _subject(server)
        _killed_at(tool(subject, folder), server, rng.uniform(0.5, 0.9) * len(first))
        server.bytes_per_second = None
        server.put(second)
        code = subprocess.run(
            tool(subject, folder), check=False, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ).returncode
        target = folder / "file"
        return code == os.EX_OK and target.exists() and target.read_bytes() not in (first, second)


def _bytes_after_kills(home: Path, rounds: int) -> Row:
    """Bytes that the server sent for a file whose download was killed four times, over its size."""
    ours, boto3 = ([_cost(tool, home, seed) for seed in range(rounds)] for tool in (_ours, _boto3))
    return Row(
        name=f"bytes sent after {KILLS} kills / size, beside boto3's",
        ours=median(ours),
        reference=median(boto3),
        ratio=median(ours) / median(boto3),
        unit="x",
        target=f"<= {MOST_BYTES}",
        met=median(ours) <= MOST_BYTES,
        rounds=rounds,
        note=f"worst {max(ours):.2f}",
    )


def _cost(tool: Callable[[Subject, Path], list[str]], home: Path, seed: int) -> float:
    rng = random.Random(seed)  # noqa: S311 - as above
    content = rng.randbytes(32 * MIB)
    with empty(home) as folder, ObjectServer(content, checks_token=False) as server:
        server.bytes_per_second = 100 * MIB
        subject = _subject(server)
        for _ in range(KILLS):
            _killed_at(tool(subject, folder), server, rng.uniform(0.1, 0.4) * len(content))
        subprocess.run(tool(subject, folder), check=True, stdout=subprocess.DEVNULL)
        if (folder / "file").read_bytes() != content:
            raise ValueError("the delivered file is not the object")
        return server.sent / len(content)
