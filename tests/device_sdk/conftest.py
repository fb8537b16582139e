"""Fixtures of the device's tests: the two brokers, and who sees every state on them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.device_sdk.devices import Observer, Tenant
from tests.device_sdk.mosquitto import PROGRAM, Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud


@dataclass(frozen=True, kw_only=True)
class ObservedBroker:
    """A broker with devices, and an observer on it."""

    broker: Tenant | Mosquitto
    observer: Observer


@pytest.fixture(scope="session")
def tenant(embedded_cloud: EmbeddedCloud) -> Tenant:
    """A tenant, stamped by hand."""
    return Tenant(embedded_cloud)


@pytest.fixture(scope="session")
def observer(tenant: Tenant) -> Iterator[Observer]:
    """Sees the states of all devices of the embedded cloud."""
    host, port = tenant.cloud.mqtt_host, tenant.cloud.mqtt_port
    with Observer(host=host, port=port, tls=tenant.omniscient()) as watching:
        yield watching


@pytest.fixture
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker of the test's own, which it may kill."""
    if PROGRAM is None:
        pytest.skip(
            "install mosquitto (Debian package of that name) to test against a second broker"
        )
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(params=["embedded cloud", "mosquitto"])
def observed(request: pytest.FixtureRequest) -> Iterator[ObservedBroker]:
    """Either broker."""
    if request.param == "embedded cloud":
        yield ObservedBroker(
            broker=request.getfixturevalue("tenant"), observer=request.getfixturevalue("observer")
        )
        return
    broker: Mosquitto = request.getfixturevalue("mosquitto")
    with Observer(host=broker.host, port=broker.port, tls=broker.tls("observer")) as watching:
        yield ObservedBroker(broker=broker, observer=watching)


@pytest.fixture
def tight_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mounted = tmp_path / "tight"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)
