"""A client at the gateway, and clouds in processes of their own, so that they can be killed, and several can run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.cloud import EmbeddedCloud

_SESSION = boto3.Session()  # one, since it keeps the parsed models of services
_KEEPER = Path(__file__).parent / "keeper.py"


@dataclass(kw_only=True)
class Keeper:
    """A running cloud in another process."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    clients: list[Any]

    @property
    def endpoint_url(self) -> str:
        """Its gateway."""
        return self.ready["environment"]["AWS_ENDPOINT_URL"]

    def client(self, service: str) -> Any:
        """A client with its root keys, that tries once."""
        environment = self.ready["environment"]
        made = _SESSION.client(
            service,  # pyright: ignore[reportCallIssue, reportArgumentType] - known at run time
            region_name=environment["AWS_REGION"],
            endpoint_url=self.endpoint_url,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 0}),
        )
        self.clients.append(made)
        return made

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def interrupt(self) -> tuple[str, str]:
        """Ctrl-C; what it printed and what it complained of."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)


def _start(directory: Path, gateway_port: int = 0, mqtt_port: int = 0) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-W",
        "error",
        str(_KEEPER),
        str(directory),
        str(gateway_port),
        str(mqtt_port),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def http(embedded_cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    """A plain client at the gateway."""
    with httpx.Client(base_url=embedded_cloud.endpoint_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def keep() -> Iterator[Callable[..., Keeper]]:
    """Start a cloud in a process of its own: ``keep(directory, gateway_port, mqtt_port)``; ended with the test."""
    keepers: list[Keeper] = []

    def keep(directory: Path, gateway_port: int = 0, mqtt_port: int = 0) -> Keeper:
        process = _start(directory, gateway_port, mqtt_port)
        keepers.append(Keeper(process=process, ready={}, clients=[]))
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        keepers[-1].ready = json.loads(line)
        return keepers[-1]

    yield keep
    for keeper in keepers:
        keeper.process.kill()
        keeper.process.communicate()
        for client in keeper.clients:
            client.close()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Start a cloud that must not start, and return its complaint."""

    def refused(directory: Path, gateway_port: int = 0, mqtt_port: int = 0) -> str:
        output, errors = _start(directory, gateway_port, mqtt_port).communicate(timeout=30)
        assert not output
        return errors

    return refused
