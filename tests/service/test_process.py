"""The service as a process: start, logs and an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

START = [sys.executable, "-m", "service"]


def environment(**changes: str) -> dict[str, str]:
    """This environment without anything of AWS or ours, and with a cloud that nobody serves."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("AWS_", "CEDARFLEET_"))
    }
    nowhere = {
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CEDARFLEET_AWS_MAX_ATTEMPTS": "1",
        "CEDARFLEET_METRICS_LINE_SECONDS": "600",
        "CEDARFLEET_WORK_QUEUE_URL": "http://127.0.0.1:1/123456789012/work",
    }
    return kept | nowhere | changes


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running service and its address."""
    with subprocess.Popen(START, env=environment(), stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        first = json.loads(started.stdout.readline())
        assert first["event"] == "service.listening"
        try:
            yield started, first["url"]
        finally:
            started.kill()


def test_it_listens_answers_and_ends_in_order(process: tuple[subprocess.Popen[str], str]) -> None:
    """Alive at once, not ready without a registry; SIGTERM ends it with code 0 and an event."""
    started, url = process
    assert httpx.get(f"{url}/health/live", trust_env=False).status_code == 200
    ready = httpx.get(f"{url}/health/ready", trust_env=False, timeout=30)
    assert ready.status_code == 503
    assert ready.json()["type"] == "urn:cedarfleet:problem:unavailable"
    assert started.stdout is not None
    beside = next(
        line["url"]
        for line in map(json.loads, started.stdout)
        if line["event"] == "metrics.listening"
    )
    told = httpx.get(f"{beside}/metrics", trust_env=False).text
    assert 'route="/health/ready",status="503"' in told
    # What is measured is for the operator alone: the API's own port does not tell it.
    assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 404
    assert httpx.get(f"{beside}/v1/me", trust_env=False).status_code == 404
    started.send_signal(signal.SIGTERM)
    output, _ = started.communicate(timeout=30)
    assert started.returncode == 0
    events = [json.loads(line) for line in output.splitlines()]
    assert events[-1]["event"] == "service.stopped"
    assert {"metrics.told", "request.done"} <= {event["event"] for event in events}


def test_an_open_request_is_answered_before_the_end(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    """SIGTERM in the middle of a request: its answer still comes."""
    started, url = process
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lines = ("POST /health/live HTTP/1.1", "Host: x", "Content-Length: 2", "Connection: close")
        request = "\r\n".join((*lines, "", ""))
        connection.sendall(request.encode())  # the body is missing: the request stays open
        with httpx.Client(base_url=url, trust_env=False) as other:
            other.get("/health/live")
        started.send_signal(signal.SIGTERM)
        connection.sendall(b"{}")
        assert connection.recv(64).startswith(b"HTTP/1.1 405")
    assert started.wait(30) == 0


def test_the_programs_are_started_by_name() -> None:
    """`api` by its name says the same as no name; another name is told with the known ones."""
    outcomes: dict[str, tuple[int, str]] = {}
    for name in ("", "api", "cron"):
        ended = subprocess.run(
            [*START, *filter(None, [name])],
            env=environment(CEDARFLEET_PORT="x"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        line = json.loads(ended.stdout) if ended.stdout else {"event": ended.stderr}
        outcomes[name] = (ended.returncode, line["event"])
    assert outcomes[""] == outcomes["api"] == (2, "service.misconfigured")
    assert outcomes["cron"][0] == 2
    assert "api" in outcomes["cron"][1].rpartition("choose from")[2]


def test_a_start_that_cannot_be_says_why_and_ends_with_2() -> None:
    """A wrong setting and a taken port: one JSON line with the reason, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for changes, event in (
            ({"CEDARFLEET_PORT": "x"}, "service.misconfigured"),
            ({"CEDARFLEET_PORT": port}, "service.cannot_listen"),
            ({"CEDARFLEET_METRICS_PORT": port}, "service.cannot_listen"),
        ):
            ended = subprocess.run(
                START,
                env=environment(**changes),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 2
            [line] = ended.stdout.splitlines()
            assert json.loads(line)["event"] == event
            assert ended.stderr == ""


def test_the_process_needs_no_local_cloud_and_no_pulumi() -> None:
    """Neither is imported, nor the tests' client; nor, for the worker, the web framework."""
    program = """
import service.__main__, service.worker, sys
worker = {name.split(".")[0] for name in sys.modules}
import service.server, service.api.app
print(*worker)
print(*{name.split(".")[0] for name in sys.modules})
"""
    seen = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    worker, both = (set(line.split()) for line in seen)
    assert "uvicorn" in worker, "it tells its measures"
    assert "litestar" not in worker
    assert "litestar" in both
    assert not {"infra", "pulumi", "ministack", "httpx", "pytest"} & both
