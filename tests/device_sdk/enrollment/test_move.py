"""A move: another name is proven before it is kept, and what is not proven changes nothing."""

from __future__ import annotations

import queue
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import ConfigError, DeviceConfig
from cedarfleet_device.connection.endpoints import Moved, dialled
from cedarfleet_device.diagnostics.doctor import examine
from cedarfleet_device.enrollment.move import Move, MoveRefusedError
from cedarfleet_device.wire import MoveDocument

from tests.device_sdk.connection.named_relay import NamedRelay, know
from tests.device_sdk.devices import write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.device_sdk.devices import Tenant

ONE, TWO, FOREIGN = (f"{name}.devices.field.example" for name in ("one", "two", "foreign"))
SECONDS = 30.0


@pytest.fixture(scope="module")
def relay(tenant: Tenant) -> Iterator[NamedRelay]:
    """Two names that lead to the broker and that it knows; one that it does not know."""
    know(tenant, ONE, TWO)
    with NamedRelay() as relay:
        for address in (f"{ONE}:8883", f"{ONE}:443", f"{TWO}:8883", f"{TWO}:443", f"{FOREIGN}:443"):
            relay.leads[address] = tenant.cloud.mqtt_port
        yield relay


def installed(tenant: Tenant, relay: NamedRelay, folder: Path, **settings: Any) -> DeviceConfig:
    """A registered device that dials the first name."""
    named = {
        "endpoint": ONE,
        "port": 443,
        "connection.proxy": relay.address,
        "connection.certificate_proof_seconds": 1.0,
    }
    config = DeviceConfig.load(tenant.device(folder, settings={**named, **settings}).config_file)
    config.state_dir.mkdir()  # as the agent does
    return config


def refusal(config: DeviceConfig, document: MoveDocument) -> str:
    """Why the device stays; it dials what it dialled."""
    before = dialled(config)
    with pytest.raises(MoveRefusedError) as refused:
        Move(config, reopen=lambda: None).prove("job", document)
    assert dialled(config) == before
    return str(refused.value)


def test_a_proven_name_is_kept(tenant: Tenant, relay: NamedRelay, tmp_path: Path):
    """MQTT on 443 without ALPN lets the device in; told again, it does the same again."""
    config = installed(tenant, relay, tmp_path)
    gone: queue.SimpleQueue[str] = queue.SimpleQueue()
    move = Move(config, reopen=lambda: gone.put(dialled(config).endpoint))
    for _ in range(2):
        move.prove("job", MoveDocument(endpoint=TWO, port=443))
        assert (dialled(config).endpoint, dialled(config).port) == (TWO, 443)
    assert relay.asked[-1] == f"{TWO}:443"
    assert gone.empty()

    move.go()
    assert gone.get(timeout=SECONDS) == TWO
    assert gone.empty()
    kept = Moved.read(config)
    assert kept is not None
    assert (kept.job_id, kept.endpoint) == ("", TWO)
    move.prove("job-2", MoveDocument(endpoint=ONE))
    assert (dialled(config).endpoint, dialled(config).port) == (ONE, 8883)


def test_what_is_not_proven_changes_nothing(tenant: Tenant, relay: NamedRelay, tmp_path: Path):
    """No such host, another's certificate, and a device that is not let in are told in words."""
    config = installed(tenant, relay, tmp_path)
    nowhere = "nowhere.devices.field.example"
    assert "the proxy answers `HTTP/1.1 502" in refusal(config, MoveDocument(endpoint=nowhere))
    assert f"certificate is not valid for '{FOREIGN}'" in refusal(
        config, MoveDocument(endpoint=FOREIGN, port=443)
    )
    iot = tenant.cloud.client("iot")
    (principal,) = iot.list_thing_principals(thingName=config.thing)["principals"]
    iot.detach_policy(policyName=f"{tenant.name}-device", target=principal)
    assert f"`{TWO}:8883` did not accept" in refusal(config, MoveDocument(endpoint=TWO))
    assert Moved.read(config) is None


@pytest.mark.parametrize(
    ("endpoint", "move_domain", "host", "words"),
    [
        (ONE, "", "one.devices.field.example.evil.example", "is not under `devices.field.example`"),
        (ONE, "", "evil-devices.field.example", "is not under `devices.field.example`"),
        (ONE, "devices.maker.example", TWO, "is not under `devices.maker.example`"),
        ("a1-ats.iot.eu-central-1.amazonaws.com", "", TWO, "under no domain of one's own"),
        ("a1-ats.iot.eu-central-1.amazonaws.com", "amazonaws.com", "b.amazonaws.com", "no domain"),
        ("localhost", "", TWO, "under no domain of one's own"),
    ],
)
def test_a_name_of_another_domain_is_never_dialled(
    tmp_path: Path, endpoint: str, move_domain: str, host: str, words: str
):
    """Whoever can make a job cannot lead the device to a broker of their own."""
    fields = {"thing": "acme--press-07", "endpoint": endpoint, "ca_file": "ca.pem"}
    config = DeviceConfig.load(
        write_config(tmp_path, {**fields, "connection.move_domain": move_domain})
    )
    assert words in refusal(config, MoveDocument(endpoint=host))


def test_a_domain_of_one_s_own_leads_away_from_aws(
    tenant: Tenant, relay: NamedRelay, tmp_path: Path
):
    """A device of before dials AWS's name; its installer says where it may go."""
    aws = "a1-ats.iot.eu-central-1.amazonaws.com"
    config = installed(
        tenant, relay, tmp_path, endpoint=aws, **{"connection.move_domain": "field.example"}
    )
    Move(config, reopen=lambda: None).prove("job", MoveDocument(endpoint=TWO))
    assert dialled(config).endpoint == TWO


def test_a_move_is_reported_after_a_power_cut(tenant: Tenant, relay: NamedRelay, tmp_path: Path):
    """Kept but unreported, the next start dials the new name and ends the job at the old one."""
    config = installed(tenant, relay, tmp_path)
    iot, job_id = tenant.cloud.client("iot"), f"{tenant.name}--move-{secrets.token_hex(4)}"
    document = MoveDocument(endpoint=TWO, port=443)
    thing = iot.describe_thing(thingName=config.thing)["thingArn"]
    iot.create_job(jobId=job_id, targets=[thing], document=document.encode())
    Move(config, reopen=lambda: None).prove(job_id, document)

    relay.asked.clear()
    Move(config, reopen=lambda: None).settle()
    deadline = time.monotonic() + SECONDS
    while (moved := Moved.read(config)) is not None and moved.job_id:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a thread of its own
    told = iot.describe_job_execution(jobId=job_id, thingName=config.thing)["execution"]
    assert told["status"] == "SUCCEEDED"
    assert relay.asked == [f"{ONE}:443"]
    assert dialled(config).endpoint == TWO


def test_an_edited_file_has_the_last_word(tmp_path: Path):
    """What was kept beside another endpoint, or is damaged, counts for nothing."""
    fields = {"thing": "acme--press-07", "ca_file": "ca.pem"}
    config = DeviceConfig.load(write_config(tmp_path, {**fields, "endpoint": ONE}))
    config.state_dir.mkdir()
    moved = Moved(
        configured=f"{ONE}:8883", endpoint=TWO, port=443, former=ONE, former_port=8883, job_id=""
    )
    moved.keep(config)
    assert dialled(config).endpoint == TWO
    other = DeviceConfig.load(write_config(tmp_path, {**fields, "endpoint": FOREIGN}))
    assert dialled(other) == other
    for damage in ("{", "[]", '{"endpoint": 1}', "null"):
        (config.state_dir / "endpoint.json").write_text(damage)
        assert dialled(config) == config


def test_the_doctor_looks_where_the_device_dials(tenant: Tenant, relay: NamedRelay, tmp_path: Path):
    """By way of the proxy, at the name that it was moved to; a proxy's refusal is told."""
    config = installed(tenant, relay, tmp_path)
    Move(config, reopen=lambda: None).prove("job", MoveDocument(endpoint=TWO, port=443))
    assert [each.words for each in examine(config) if not each.good] == []
    assert any(f"`{TWO}` port 443 is reached" in each.words for each in examine(config))

    del relay.leads[f"{TWO}:443"]
    try:
        assert "the proxy answers `HTTP/1.1 502 Bad Gateway`" in examine(config)[-1].words
    finally:
        relay.leads[f"{TWO}:443"] = tenant.cloud.mqtt_port


@pytest.mark.parametrize("key", ["proxy", "move_domain"])
def test_odd_settings_of_a_move_are_refused(tmp_path: Path, key: str):
    """A proxy without its port, and a domain that is an address, are told with their key."""
    fields = {"thing": "acme--press-07", "endpoint": ONE, "ca_file": "ca.pem"}
    odd = {f"connection.{key}": "http://proxy.example"}
    with pytest.raises(ConfigError, match=f"`connection.{key}` is `http://proxy.example`, it must"):
        DeviceConfig.load(write_config(tmp_path, fields | odd))


def test_a_move_that_was_never_kept_only_reopens_the_line(tmp_path: Path):
    """Whose file somebody has removed meanwhile: the device dials what its own file says."""
    fields = {"thing": "acme--press-07", "endpoint": ONE, "ca_file": "ca.pem"}
    config = DeviceConfig.load(write_config(tmp_path, fields))
    config.state_dir.mkdir()
    gone: queue.SimpleQueue[str] = queue.SimpleQueue()
    move = Move(config, reopen=lambda: gone.put(dialled(config).endpoint))
    move.settle()
    move.go()
    assert gone.get(timeout=SECONDS) == ONE
    assert Moved.read(config) is None


def test_an_agent_that_stops_proves_nothing(tenant: Tenant, relay: NamedRelay, tmp_path: Path):
    """While it waits for a name that nobody answers: the job is told again at the next start."""
    config = installed(tenant, relay, tmp_path, **{"connection.certificate_proof_seconds": 60.0})
    move = Move(config, reopen=lambda: None)
    move.stop()
    with pytest.raises(MoveRefusedError, match="the agent stopped before the endpoint was proven"):
        move.prove("job", MoveDocument(endpoint="nowhere.devices.field.example"))
    assert Moved.read(config) is None
