"""How an embedded cloud stops while its clients hold on to it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BIG = 20_000_000  # more than the kernel buffers between the two
STOP_SECONDS_AT_MOST = 10.0  # of them, one is the grace for answers that are under way


@pytest.mark.parametrize("way", ["holds on", "hangs up"])
def test_a_download_left_half_way_does_not_hold_up_the_end(
    start_cloud: Callable[..., Any], tmp_path: Path, way: str
) -> None:
    """A client that stops reading, or is gone, costs the cloud its grace at most; state is kept."""
    cloud = start_cloud(tmp_path / "state")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="big", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="big", Key="x", Body=bytes(BIG))
    url = urlsplit(
        s3.generate_presigned_url("get_object", Params={"Bucket": "big", "Key": "x"}, ExpiresIn=60)
    )
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as client:
        client.sendall(
            f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
        )
        assert client.recv(12) == b"HTTP/1.1 200"
        if way == "hangs up":
            client.close()
        began = time.monotonic()
        _, complaints = cloud.interrupt()
    assert not complaints
    assert cloud.process.returncode == 0
    assert time.monotonic() - began < STOP_SECONDS_AT_MOST
    again = start_cloud(tmp_path / "state").client("s3")
    assert again.head_object(Bucket="big", Key="x")["ContentLength"] == BIG


def test_who_connects_until_the_end_is_no_error(
    start_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    """Connections that are cut as they are made leave no word in the log."""
    cloud = start_cloud(tmp_path / "state")
    url = urlsplit(cloud.client("s3").meta.endpoint_url)
    open_connections: list[socket.socket] = []
    connected = threading.Event()

    def connect() -> None:
        with suppress(OSError):
            while True:
                address = (url.hostname or "", url.port or 0)
                open_connections.append(socket.create_connection(address, timeout=1))
                connected.set()

    connecting = threading.Thread(target=connect)
    connecting.start()
    assert connected.wait(timeout=10)
    _, complaints = cloud.interrupt()
    connecting.join()
    for connection in open_connections:
        connection.close()
    assert open_connections
    # Of a connection that asyncio is making as its loop closes, warnings alone tell (`-W`).
    assert "Error" not in complaints
    assert "CancelledError" not in complaints
    assert complaints.count("Traceback") == complaints.count("ResourceWarning: unclosed")
    assert cloud.process.returncode == 0
