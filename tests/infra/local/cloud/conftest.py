"""A client at the gateway, and clouds in processes, so that they can be killed."""

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

# A request for the account's tables, and signatures that were made with no key's secret.
TABLES = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
}
SCOPE = "20261122/eu-central-1/dynamodb/aws4_request"
ROOTLIKE = "AKIA0000000000000000"
SIGNED = f"AWS4-HMAC-SHA256 Credential={ROOTLIKE}/{SCOPE}, SignedHeaders=host, Signature={'0' * 64}"
QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261122T110000Z&X-Amz-Expires=100000"
    f"&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}&X-Amz-Credential="
)

_SESSION = boto3.Session()  # one, since it keeps the parsed models of services
_RUN_CLOUD = Path(__file__).parent / "run_cloud.py"


@dataclass(kw_only=True)
class CloudProcess:
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
        str(_RUN_CLOUD),
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
def start_cloud() -> Iterator[Callable[..., CloudProcess]]:
    """Start a cloud in a process: ``start_cloud(directory, gateway_port, mqtt_port)``.

    It ends with the test.
    """
    started: list[CloudProcess] = []

    def start_cloud(directory: Path, gateway_port: int = 0, mqtt_port: int = 0) -> CloudProcess:
        process = _start(directory, gateway_port, mqtt_port)
        started.append(CloudProcess(process=process, ready={}, clients=[]))
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        started[-1].ready = json.loads(line)
        return started[-1]

    yield start_cloud
    for cloud in started:
        cloud.process.kill()
        cloud.process.communicate()
        for client in cloud.clients:
            client.close()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Start a cloud that must not start, and return its complaint."""

    def refused(directory: Path, gateway_port: int = 0, mqtt_port: int = 0) -> str:
        output, errors = _start(directory, gateway_port, mqtt_port).communicate(timeout=30)
        assert not output
        return errors

    return refused
