"""The port that is dialled: the endpoint's own, then 443, then what worked."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cedarfleet_device import DeviceConfig
from cedarfleet_device.connection.routes import Route
from cedarfleet_device.diagnostics.doctor import examine
from cedarfleet_device.wire import CommandState

from tests.device_sdk.connection.named_relay import NamedRelay, know
from tests.device_sdk.devices import Observer, new_command, write_config
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.device_sdk.devices import Tenant

HOST = "three.devices.field.example"
AWS = "a1-ats.iot.eu-central-1.amazonaws.com"
DAY = 86_400.0
CONNACK = bytes((0x20, 3, 0, 0, 0))  # MQTT 5, 3.2: accepted, no properties
SECRET = "s3cret"


def configured(folder: Path, **fields: Any) -> DeviceConfig:
    """A device whose files nobody reads."""
    named = {"thing": "acme--press-07", "endpoint": HOST, "ca_file": "ca.pem"}
    config = DeviceConfig.load(write_config(folder, named | fields))
    config.state_dir.mkdir(exist_ok=True)
    return config


def dialled(route: Route, failures: int) -> list[int]:
    """The port of each of so many tries that reach nobody."""
    ports: list[int] = []
    for _ in range(failures):
        ports.append(route.config.port)
        route.failed(answered=False)
    return ports


def test_another_port_is_tried_after_three_that_reach_nobody(tmp_path: Path):
    """And the first again; a broker that refuses has answered, and counts for nothing."""
    route = Route(configured(tmp_path))
    assert not any(route.failed(answered=False) for _ in range(2))
    assert not any(route.failed(answered=True) for _ in range(9))
    assert dialled(route, 7) == [8883] * 3 + [443] * 3 + [8883]


@pytest.mark.parametrize(
    "fields",
    [{"connection.fallback_port": 0}, {"port": 443}, {"endpoint": "localhost"}],
    ids=["switched off", "443 already", "this machine"],
)
def test_where_there_is_one_port_it_stays(tmp_path: Path, fields: dict[str, Any]):
    """However long nobody is reached."""
    config = configured(tmp_path, **fields)
    assert set(dialled(Route(config), 30)) == {config.port}


def test_pauses_stay_long_while_nobody_is_reached(tmp_path: Path):
    """Changing the port does not have a fleet knock more often during a long outage."""
    slow = {"connection.reconnect_min_seconds": 1, "connection.reconnect_max_seconds": 120}
    route = Route(configured(tmp_path, **slow))
    pauses: list[float] = []
    for _ in range(4):
        pauses.append(route.config.first_pause_seconds)
        dialled(route, 3)
    assert pauses == [1, 8, 60, 60]
    assert not route.stands()
    assert route.config.first_pause_seconds == 1


def test_what_worked_is_dialled_first_for_a_day(tmp_path: Path):
    """Over a restart too; then the endpoint's own port has its turn, and may win."""
    now = 1_000_000.0
    config = configured(tmp_path)
    route = Route(config, wall=lambda: now)
    dialled(route, 3)
    assert route.stands()
    route.keep()
    assert not route.stands(), "it is kept already"
    assert not route.is_old()
    again = Route(config, wall=lambda: now)
    assert again.config.port == 443
    now += DAY
    assert Route(config, wall=lambda: now).config.port == 8883
    assert again.is_old()
    assert again.config.port == 8883
    assert again.stands()
    again.keep()
    assert not list(config.state_dir.iterdir())
    assert not again.stands()


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"of": 1}'])
def test_what_is_kept_and_odd_counts_for_nothing(tmp_path: Path, damage: str):
    """It is found anew; so is what stands beside another endpoint."""
    config = configured(tmp_path)
    (config.state_dir / "route.json").write_text(damage)
    assert Route(config).config.port == 8883
    route = Route(config)
    dialled(route, 3)
    route.keep()
    assert Route(config).config.port == 443
    assert Route(configured(tmp_path, endpoint="four.devices.field.example")).config.port == 8883
    assert Route(configured(tmp_path, **{"connection.fallback_port": 0})).config.port == 8883


def test_a_site_that_lets_out_443_alone_is_left_by_it(
    tenant: Tenant, observer: Observer, tmp_path: Path
):
    """By a proxy with credentials: found, kept, commands and jobs work, and no log has a secret."""
    know(tenant, HOST)
    with NamedRelay(credentials=f"press:{SECRET}") as relay:
        relay.leads[f"{HOST}:443"] = tenant.cloud.mqtt_port
        proxy = f"http://press:{SECRET}@{relay.address}"
        fields = {"endpoint": HOST, "port": 8883, "connection.proxy": proxy}
        device = tenant.device(tmp_path, settings=fields)
        echo = "\n    agent.command('echo')(lambda command: command.arguments)\n"
        iot = tenant.cloud.client("iot")
        thing = iot.describe_thing(thingName=device.thing)["thingArn"]
        with device.run(echo) as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
            assert relay.asked == [f"{HOST}:8883"] * 3 + [f"{HOST}:443"]
            job_id = f"workshop--{device.thing}"
            iot.create_job(jobId=job_id, targets=[thing], document='{"odd": true}')
            ended = agent.await_event("job.ended", seconds=30)
            assert (ended["job_id"], ended["status"]) == (job_id, "REJECTED")
            sent = tenant.send(new_command(device.thing, "echo", arguments={"a": 1}))
            assert observer.final(sent).state is CommandState.SUCCEEDED
            assert agent.stop() == 0
        relay.asked.clear()
        with device.run(echo, name="again") as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
            assert relay.asked == [f"{HOST}:443"]
            assert agent.stop() == 0
        found = examine(DeviceConfig.load(device.config_file))
        assert [each.words for each in found if not each.good] == []
        words = "port 8883 does not let this device out; the agent goes by 443"
        assert words in [each.words for each in found]
    told = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    assert "mqtt.subscribed" in told
    assert SECRET not in told


def test_the_environment_names_the_proxy(tenant: Tenant, tmp_path: Path):
    """A device whose file is silent is let out by it; with wrong credentials, words say so."""
    host = "five.devices.field.example"
    know(tenant, host)
    device = tenant.device(tmp_path, settings={"endpoint": host, "port": 8883})
    with NamedRelay(credentials=f"press:{SECRET}") as relay:
        relay.leads[f"{host}:8883"] = tenant.cloud.mqtt_port
        for password, code in ((SECRET, 0), (f"not-{SECRET}", 1)):
            done = subprocess.run(
                device.arguments("doctor"),
                env={**os.environ, "HTTPS_PROXY": f"http://press:{password}@{relay.address}"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == code, done.stdout
            assert SECRET not in done.stdout + done.stderr
        assert "407 Proxy Authentication Required`: it asks for other credentials" in done.stdout


class Greeting(NamedTuple):
    """What a client announced in its handshake."""

    server_name: str | None
    protocol: str | None


@contextmanager
def aws_on_443(folder: Path, host: str) -> Generator[tuple[int, list[Greeting], Authority]]:
    """An endpoint of AWS's kind: TLS with a client certificate, then one CONNACK."""
    authority = Authority()
    for name, content in zip(("s.crt", "s.key"), authority.issue(host, host=host), strict=True):
        (folder / name).write_bytes(content)
    (folder / "ca.pem").write_bytes(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "s.crt", folder / "s.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["x-amzn-mqtt-ca"])
    greetings: list[Greeting] = []
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:  # closed: the test is over
                return
            with line:
                try:
                    with context.wrap_socket(line, server_side=True) as secure:
                        greetings.append(Greeting(names[-1], secure.selected_alpn_protocol()))
                        if secure.recv(4096):
                            secure.sendall(CONNACK)
                            secure.recv(4096)
                except OSError:  # a client that only looked
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listening.getsockname()[1]), greetings, authority
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


@pytest.mark.parametrize(
    ("host", "port", "protocol"),
    [(AWS, 443, "x-amzn-mqtt-ca"), (AWS, 8883, None), (HOST, 443, None)],
    ids=["AWS's name on 443", "AWS's name on 8883", "the platform's name on 443"],
)
def test_aws_own_name_is_greeted_as_it_wants_on_443(
    tmp_path: Path, host: str, port: int, protocol: str | None
):
    """By the doctor's look and by the runtime; the platform's own name needs no protocol's name."""
    with aws_on_443(tmp_path, host) as (listens, greetings, authority), NamedRelay() as relay:
        relay.leads[f"{host}:{port}"] = listens
        for name, content in zip(
            ("device.crt", "device.key"), authority.issue("press-07"), strict=True
        ):
            (tmp_path / name).write_bytes(content)
        (tmp_path / "device.key").chmod(0o600)
        config = configured(
            tmp_path,
            endpoint=host,
            port=port,
            jobs=False,
            **{"connection.proxy": relay.address},
        )
        assert [each.words for each in examine(config) if not each.good] == []
    assert greetings == [Greeting(host, protocol)] * 2
