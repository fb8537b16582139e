"""How an embedded cloud starts, and what stops it from starting."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.clients import RootKeys
from infra.local.cloud import EmbeddedCloud, EmbeddedCloudError, EmulatorChangedError
from infra.local.cloud.emulator import Emulator
from infra.local.cloud.limits.enforcing import Limits
from infra.local.cloud.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is in use."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_ready_cloud_serves_with_and_without_state(
    start_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    """Once it says that it is ready, the first request is answered, and what was made is there.

    How soon that is, `make bench` measures.
    """
    first = start_cloud(tmp_path)
    iot = first.client("iot")
    assert iot.list_things()["things"] == []
    iot.create_thing(thingName="acme--press-07")
    first.interrupt()
    things = start_cloud(tmp_path).client("iot").list_things()["things"]
    assert [thing["thingName"] for thing in things] == ["acme--press-07"]


def test_taken_port_is_named(refused: Callable[..., str], taken: int, tmp_path: Path) -> None:
    """A port given by number that is in use stops the start; the error names it."""
    gateway, mqtt = refused(tmp_path / "a", taken, 0), refused(tmp_path / "b", 0, taken)
    for complaint, purpose in ((gateway, "the gateway"), (mqtt, "MQTT")):
        assert complaint.startswith(
            f"PortTakenError: port {taken} for {purpose} is taken by another process"
        )
        assert "name another port" in complaint


def test_remembered_port_that_is_taken_is_replaced(
    start_cloud: Callable[..., Any], taken: int, tmp_path: Path
) -> None:
    """A port that was only remembered gives way: the cloud starts on another."""
    directory = tmp_path / "state"
    directory.mkdir()
    (directory / "ports.json").write_text(json.dumps({"gateway": taken, "mqtt": 0}))
    assert not start_cloud(directory).endpoint_url.endswith(f":{taken}")


def test_state_directory_has_one_owner(
    start_cloud: Callable[..., Any], refused: Callable[..., str], tmp_path: Path
) -> None:
    """A second process on the same directory is refused, and told which process has it."""
    cloud = start_cloud(tmp_path / "state")
    complaint = refused(tmp_path / "state")
    assert complaint.startswith("StateInUseError")
    assert f"in use by process {cloud.process.pid}" in complaint


def test_file_is_no_state_directory(tmp_path: Path) -> None:
    """A file in the place of the directory is an error that names it."""
    (tmp_path / "state").write_text("")
    with (
        pytest.raises(EmbeddedCloudError, match="is a file: name a directory"),
        EmbeddedCloud(tmp_path / "state"),
    ):
        pass


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_out_of_range(port: int, tmp_path: Path) -> None:
    """A number that is no port is refused."""
    with (
        pytest.raises(EmbeddedCloudError, match=f"`{port}` is no port"),
        EmbeddedCloud(tmp_path, gateway_port=port),
    ):
        pass


def test_second_cloud_in_a_process_is_refused(
    embedded_cloud: EmbeddedCloud, tmp_path: Path
) -> None:
    """A process runs one cloud, ever, and the first stays as it was."""
    with (
        pytest.raises(EmbeddedCloudError, match="start another process"),
        EmbeddedCloud(tmp_path / "second"),
    ):
        pass
    assert (
        embedded_cloud.client("sts").get_caller_identity()["Account"] == embedded_cloud.account_id
    )


def test_changed_emulator_is_refused() -> None:
    """A correction of a name that is gone fails, rather than leaving a hole open in silence."""
    with socket.socket() as listener:
        emulator = Emulator(
            app=None,
            root=RootKeys.random(),
            account_id="123456789012",
            region="eu-central-1",
            mqtt_listener=listener,
            mqtt_port=1,
            rights=Rights(),
            limits=Limits(),
        )
        with pytest.raises(EmulatorChangedError, match=r"ministack has no `core.sigv4.gone`"):
            emulator.replace("core.sigv4", "gone", lambda original: original)
