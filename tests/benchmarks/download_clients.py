"""One download by one client in a process of its own, run as a module with its name.

Prints one JSON object: ``seconds`` and ``cpu`` seconds of the download alone (imports and set-up
are not counted), and ``peak_rss`` in bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024


def ours(options: argparse.Namespace) -> Callable[[], str]:
    """The SDK's downloader, to disk, verified."""
    from cedarfleet_device.downloads import Downloader, DownloadLimits  # noqa: PLC0415 - lazy
    from cedarfleet_device.wire import DownloadDocument  # noqa: PLC0415 - as above

    nearest = 0.0 if options.far else DownloadLimits.parallel_from_seconds
    limits = DownloadLimits(
        ca_file=options.ca_file, disk_reserve_bytes=0, parallel_from_seconds=nearest
    )
    downloader = Downloader(
        folder=options.folder, state_dir=options.folder / "state", limits=limits
    )
    job = DownloadDocument(
        name="file", size=options.size, sha256=options.sha256, etag=options.etag, url=options.url
    )
    return lambda: downloader.fetch(job, refresh_url=lambda: options.url).sha256


def boto3(options: argparse.Namespace) -> Callable[[], str]:
    """``download_file`` with its defaults, to disk.

    It verifies nothing here, less than we do; ``boto3-verified`` then reads the file for its
    SHA-256, which is equal work.
    """
    import boto3 as sdk  # noqa: PLC0415 - as above

    parts = urlsplit(options.url)
    _, bucket, key = parts.path.split("/", 2)
    client = sdk.client(
        "s3",
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        region_name="eu-central-1",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",
        verify=None if options.ca_file is None else str(options.ca_file),
    )

    def download() -> str:
        client.download_file(bucket, key, str(options.folder / "file"))
        if options.client != "boto3-verified":
            return options.sha256
        with (options.folder / "file").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return download


def limit(options: argparse.Namespace) -> Callable[[], str]:
    """``http.client`` into one buffer plus SHA-256 of the same bytes.

    ``limit-written`` writes them to a file too.
    """
    parts = urlsplit(options.url)
    host, port = parts.hostname or "", parts.port

    def download() -> str:
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=options.ca_file)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port)
        connection.request("GET", parts.path)
        response = connection.getresponse()
        buffer = memoryview(bytearray(256 * 1024))
        digest = hashlib.sha256()
        with (options.folder / "file").open("wb", buffering=0) as file:
            while count := response.readinto(buffer):
                digest.update(buffer[:count])
                if options.client == "limit-written":
                    file.write(buffer[:count])
        connection.close()
        return digest.hexdigest()

    return download


def main() -> None:
    """Run one client."""
    parser = argparse.ArgumentParser(description=__doc__)
    clients = {
        "ours": ours,
        "boto3": boto3,
        "boto3-verified": boto3,
        "limit": limit,
        "limit-written": limit,
    }
    parser.add_argument("client", choices=sorted(clients))
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--sha256", required=True)
    parser.add_argument("--etag", required=True)
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument(
        "--far",
        action="store_true",
        help="use all connections however short the TCP handshake took",
    )
    options = parser.parse_args()
    download = clients[options.client](options)
    started, used = time.monotonic(), time.process_time()
    digest = download()
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    if digest != options.sha256:
        sys.exit(f"{options.client}: wrong digest {digest}")
    # Not ru_maxrss: it begins with the peak of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_rss": peak}))


if __name__ == "__main__":
    main()
