"""The clients keep as many connections as the engine has steps under way."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.clients import MODELS, RootClients, RootKeys
from infra.local.running_cloud import RunningCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

AT_ONCE = 16  # the engine's `parallel`


class _Server(ThreadingHTTPServer):
    """Answers ListTables once as many requests as `AT_ONCE` have come, and counts connections."""

    daemon_threads = True
    request_queue_size = 2 * AT_ONCE

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.connections = 0
        self.all_here = threading.Barrier(AT_ONCE)
        self.counting = threading.Lock()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, _Server)
        with self.server.counting:
            self.server.connections += 1

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.all_here.wait(30)
        body = b'{"TableNames": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    """A server that is no cloud, so that nothing else connects."""
    with _Server() as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", [RootClients, RunningCloud])
def test_no_connection_is_thrown_away(kind: type, server: _Server, tmp_path: Path) -> None:
    """As many calls as the engine makes at once open no more connections when repeated."""
    url = f"http://127.0.0.1:{server.server_port}"
    if kind is RootClients:
        clients: Any = RootClients(endpoint_url=url, region="eu-central-1", root=RootKeys.random())
        client = clients.get("dynamodb")
    else:
        keys = {"AWS_ACCESS_KEY_ID": "A" * 20, "AWS_SECRET_ACCESS_KEY": "b" * 40}
        described = {
            "endpoint_url": url,
            "region": "eu-central-1",
            "account_id": "123456789012",
            "environment": keys,
        }
        (tmp_path / "cloud.json").write_text(json.dumps(described))
        clients = RunningCloud(tmp_path / "cloud.json")
        client = clients.client("dynamodb")
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in range(3):
                list(pool.map(lambda _: client.list_tables(), range(AT_ONCE)))
    finally:
        clients.close()
    assert server.connections <= AT_ONCE + 1  # RunningCloud looks whether somebody listens


def test_a_model_is_parsed_once_for_all_uses(embedded_cloud: EmbeddedCloud) -> None:
    """The clients, the emulator and the check of shapes read one parsed model of a service."""
    of_clients = embedded_cloud.client("iot").meta.service_model
    answers: Any = import_module("ministack.core.responses")
    parsed: dict[str, Any] = MODELS.load_service_model("iot", "service-2")
    assert of_clients.metadata is parsed["metadata"]
    assert answers._service_model("iot").metadata is parsed["metadata"]
    assert answers._service_model("no such service") is None
