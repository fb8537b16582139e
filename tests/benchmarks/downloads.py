"""Downloads: speed beside boto3, aria2 and the machine's limit, and memory."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks import nginx
from tests.benchmarks.download_subject import Subject, empty, in_memory, measure, touch_memory
from tests.benchmarks.rows import Missing, Row, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
LARGE = int(os.environ.get("CEDARFLEET_BENCH_DOWNLOAD_MIB", "1024"))
SMALL = 16
FAR = 256
ROUND_TRIP_SECONDS = 0.02
WINDOW_BYTES = MIB
ARIA2 = "needs aria2: apt-get install aria2"


def rows(rounds: int) -> Iterator[Row | Missing]:
    """Every row about downloads."""
    with in_memory() as home:
        if nginx.find() is None:
            yield Missing(name="download speed, memory, long path", why=nginx.HOW_TO_GET)
            return
        (home / "root/bucket").mkdir(parents=True)
        with nginx.Nginx(root=home / "root", home=home / "nginx") as server:
            digests = {
                size: _make_file(home / f"root/bucket/{size}", size) for size in {SMALL, FAR, LARGE}
            }
            subject = partial(_subject, server, digests)
            yield from _far_rows(home, server, subject(FAR, tls=False), rounds)
            for tls in (False, True):
                yield from _speed_rows(
                    home, subject(LARGE, tls=tls), rounds, "TLS" if tls else "HTTP"
                )
            yield _memory_row(home, subject(SMALL, tls=True), subject(LARGE, tls=True), rounds)


def _speed_rows(home: Path, subject: Subject, rounds: int, over: str) -> Iterator[Row]:
    """Ours beside boto3 and beside the limit, in the same rounds.

    boto3 twice: as it is, which verifies nothing, and followed by the SHA-256 of its file, which is
    what we deliver.
    """
    clients: tuple[str, ...] = ("ours", "boto3", "boto3-verified", "limit", "limit-written")
    used = {client: list[float]() for client in clients}

    def speed(client: str) -> float:
        result = measure(client, subject, home)
        used[client].append(result["cpu"])
        return subject.size / MIB / result["seconds"]

    speeds: dict[str, list[float]] = dict(
        zip(
            clients,
            interleaved(rounds, *(partial(speed, client) for client in clients)),
            strict=True,
        )
    )
    for client, words, work, target in (
        ("boto3-verified", "boto3 download_file, then SHA-256 of its file", "equal work", 1.8),
        ("boto3", "boto3 download_file, unverified", "it does less: no SHA-256", 1.8),
        ("limit", "limit: recv + SHA-256", "it does less: no file", 0.85),
        ("limit-written", "limit with the file written", "equal work, nothing resumable", 0.85),
    ):
        cpu = median(theirs / mine for mine, theirs in zip(used["ours"], used[client], strict=True))
        yield compare(
            name=f"download {subject.size // MIB} MiB, verified, {over} / {words}",
            ours=speeds["ours"],
            reference=speeds[client],
            unit="MiB/s",
            at_least=target,
            note=f"{work}; by CPU time {cpu:.2f}x;"
            f" load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        )


def _memory_row(home: Path, small: Subject, large: Subject, rounds: int) -> Row:
    """Peak RSS must not depend on the size."""
    peaks = interleaved(
        rounds, *(partial(_peak_megabytes, subject, home) for subject in (large, small))
    )
    growths = [large_peak - small_peak for large_peak, small_peak in zip(*peaks, strict=True)]
    growth = median(growths)
    return Row(
        name=f"peak RSS at {large.size // MIB} MiB over that at {small.size // MIB} MiB",
        ours=growth,
        unit="MB",
        target="<= 10 MB",
        met=growth <= 10,
        rounds=rounds,
        note=f"worst {max(growths):.1f} MB;"
        f" peak {max(peaks[0]):.0f} MB in all, interpreter included",
    )


def _far_rows(
    home: Path, server: nginx.Nginx, subject: Subject, rounds: int
) -> Iterator[Row | Missing]:
    """A long path: 20 ms there and back, 1 MiB under way at most in each of four connections.

    Beside aria2 that verifies the SHA-256 as we do, and beside aria2 that does less: it verifies
    nothing.
    """
    name = f"download {FAR} MiB over 20 ms with 4 connections, verified / aria2 -x4"
    aria2 = shutil.which("aria2c")
    if aria2 is None:
        yield Missing(name=name, why=ARIA2)
        return
    command = [
        *(sys.executable, "-m", "tests.benchmarks.delaying_proxy"),
        *(str(server.http_port), str(ROUND_TRIP_SECONDS), str(WINDOW_BYTES)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            port = int(proxy.stdout.readline()) if proxy.stdout is not None else 0
            far = replace(subject, url=subject.url.replace(f":{server.http_port}/", f":{port}/"))

            def speed_of_aria2(*more: str) -> float:
                with empty(home) as folder:
                    touch_memory(folder, far.size)
                    started = time.monotonic()
                    subprocess.run(
                        [
                            *(aria2, "-q", "-x4", "-s4", "-k1M", "--file-allocation=none", *more),
                            *("-d", folder, "-o", "file", far.url),
                        ],
                        check=True,
                    )
                    return far.size / MIB / (time.monotonic() - started)

            ours, verified, plain = interleaved(
                rounds,
                lambda: far.size / MIB / measure("ours", far, home, "--far")["seconds"],
                partial(speed_of_aria2, f"--checksum=sha-256={far.sha256}"),
                speed_of_aria2,
            )
        finally:
            proxy.kill()
    for words, theirs in (("--checksum=sha-256", verified), ("without checksum", plain)):
        yield compare(
            name=f"{name} {words}",
            ours=ours,
            reference=theirs,
            unit="MiB/s",
            at_least=1.0,
            note="own delaying proxy, window 1 MiB a connection",
        )


def _peak_megabytes(subject: Subject, home: Path) -> float:
    return measure("ours", subject, home)["peak_rss"] / 1e6


def _make_file(path: Path, mebibytes: int) -> str:
    """Write a file of incompressible bytes; its SHA-256."""
    digest = hashlib.sha256()
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(mebibytes):
            turned = block[number % MIB :] + block[: number % MIB]
            file.write(turned)
            digest.update(turned)
    return digest.hexdigest()


def _subject(server: nginx.Nginx, digests: dict[int, str], mebibytes: int, *, tls: bool) -> Subject:
    """The served file of ``mebibytes``."""
    path = f"/bucket/{mebibytes}"
    connection = http.client.HTTPConnection("localhost", server.http_port)
    connection.request("HEAD", path)
    etag = connection.getresponse().getheader("ETag") or ""
    connection.close()
    return Subject(
        url=server.origin(tls=tls) + path,
        size=mebibytes * MIB,
        sha256=digests[mebibytes],
        etag=etag,
        ca_file=server.ca_file if tls else None,
    )
