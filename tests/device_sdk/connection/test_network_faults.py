"""What an agent must bear: brokers that die, deaf links, wrong clocks, wild handlers."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.wire import CommandState

from infra.local.processes import ChildError
from tests.device_sdk.connection.cuttable_line import CuttableLine
from tests.device_sdk.devices import Device, Observer, new_command, states, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.devices import Tenant
    from tests.device_sdk.mosquitto import Mosquitto

ECHO = """
    @agent.command("echo")
    def echo(command):
        return command.arguments
"""
SLOW = """
    @agent.command("slow")
    def slow(command):
        time.sleep(1)  # outlasts the broker
        return {"done": True}
"""
CLOCK = """
    agent._clock._device = lambda: time.time() + {seconds}
"""
DEAF = """
    @agent.command("deafen")
    def deafen(command):
        agent._outbox.listen(lambda fresh: None)  # as where its word met a fault
"""
WILD = """
    @agent.command("leave")
    def leave(command):
        sys.exit(3)

    @agent.command("fork")
    def fork(command):
        if os.fork() == 0:
            raise SystemExit("the child comes back")
        return {"parent": True}

    @agent.command("dawdle", time_limit_seconds=0.3)
    def dawdle(command):
        time.sleep(30)  # the fault that is tested

    @agent.command("explode")
    def explode(command):
        raise RuntimeError("boom")

    @agent.command("babble")
    def babble(command):
        return {"much": "x" * 100_000}
"""


def test_states_survive_a_broker_that_is_killed(mosquitto: Mosquitto, tmp_path: Path):
    """What ended without a broker is reported to the next one; the agent subscribes by itself."""
    with CuttableLine(mosquitto.port) as line:
        device = mosquitto.device(tmp_path, settings={"port": line.port})
        with device.run(ECHO + SLOW) as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
            command_id = mosquitto.send(new_command(device.thing, "slow"))
            agent.await_event("command.acknowledged", seconds=30)
            line.refuse = True  # until the observer is there, or it would miss what comes first
            mosquitto.kill()
            agent.await_event("command.ended", seconds=30)
            mosquitto.start()
            with Observer(
                host=mosquitto.host, port=mosquitto.port, tls=mosquitto.tls("observer")
            ) as observer:
                line.refuse = False
                assert observer.final(command_id).detail == {"done": True}
                agent.await_event("mqtt.subscribed", seconds=30)
                assert (
                    observer.final(mosquitto.send(new_command(device.thing, "echo"))).state
                    is CommandState.SUCCEEDED
                )
            assert agent.stop() == 0


@pytest.mark.parametrize("way", ["deaf", "mute"])
def test_a_link_cut_in_one_direction_is_noticed_and_healed(
    mosquitto: Mosquitto, tmp_path: Path, way: str
):
    """A half-open connection is given up in keep-alive x 1.5 + ping timeout; nothing is lost."""
    with (
        CuttableLine(mosquitto.port) as line,
        Observer(
            host=mosquitto.host, port=mosquitto.port, tls=mosquitto.tls("observer")
        ) as observer,
    ):
        times = {"connection.keep_alive_seconds": 5, "connection.ping_timeout_seconds": 1}
        device = mosquitto.device(tmp_path, settings={"port": line.port, **times})
        with device.run(ECHO) as agent:
            agent.await_event("mqtt.subscribed", seconds=30)
            setattr(line, way, True)
            began = time.monotonic()
            command_id = mosquitto.send(new_command(device.thing, "echo"))
            agent.await_event("mqtt.disconnected", seconds=30)
            noticed = time.monotonic() - began
            setattr(line, way, False)
            assert (
                states(observer.await_all([command_id])[command_id])[-1] is CommandState.SUCCEEDED
            )
            assert agent.stop() == 0
    print(f"{way}: noticed after {noticed:.1f} s")
    assert noticed <= 5 * 1.5 + 1 + 0.5  # and half a second for the log line to reach us


@pytest.mark.parametrize("seconds", [86_400, -86_400], ids=["a day fast", "a day slow"])
def test_a_wrong_clock_refuses_and_runs_nothing_wrongly(
    tenant: Tenant, observer: Observer, tmp_path: Path, seconds: int
):
    """With a clock a day off valid commands run and expired ones do not, by the cloud's time."""
    device = tenant.device(tmp_path)
    with device.run(ECHO) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
    fresh = new_command(device.thing, "echo")
    past = {"issued_at": fresh.issued_at - 60_000, "expires_at": fresh.issued_at - 3_000}
    expired = tenant.send(dataclasses.replace(fresh, **past))
    valid = tenant.send(new_command(device.thing, "echo"))
    with device.run(ECHO + CLOCK.format(seconds=seconds)) as agent:
        ended = observer.await_all([expired, valid])
        found = subprocess.run(
            device.arguments("doctor"), capture_output=True, text=True, timeout=60, check=False
        )
        assert "an agent is running" in found.stdout
        assert agent.stop() == 0
    assert states(ended[expired])[-1] is CommandState.EXPIRED
    assert states(ended[valid])[-1] is CommandState.SUCCEEDED


def test_no_handler_can_end_or_block_the_agent(tenant: Tenant, observer: Observer, tmp_path: Path):
    """Handlers that exit, fork, dawdle, raise or babble end their own command only.

    The next one runs.
    """
    device = tenant.device(tmp_path)
    with device.run(ECHO + WILD) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        names = ("leave", "fork", "dawdle", "dawdle", "explode", "babble", "echo")
        ids = [tenant.send(new_command(device.thing, name)) for name in names]
        ended = [observer.await_all(ids)[each][-1] for each in ids]
        assert agent.stop() == 0
    reasons = [each.detail.get("reason", "") for each in ended]
    assert [each.state for each in ended] == [
        CommandState.FAILED,
        CommandState.SUCCEEDED,
        CommandState.FAILED,
        CommandState.REJECTED,
        CommandState.FAILED,
        CommandState.SUCCEEDED,
        CommandState.SUCCEEDED,
    ]
    assert reasons[0] == "SystemExit: 3"
    assert ended[1].detail == {"parent": True}
    assert "limit of 0.3 s" in reasons[2]
    assert "an earlier `dawdle`" in reasons[3]
    assert reasons[4] == "RuntimeError: boom"
    assert list(ended[5].detail) == ["truncated"]
    # The forked child reported nothing.
    assert all(len(states(observer.statuses[each])) <= 3 for each in ids)


def test_a_word_that_was_lost_is_made_good(tenant: Tenant, observer: Observer, tmp_path: Path):
    """Whoever publishes was not told of states; at the agent's next look at itself they leave."""
    device = tenant.device(tmp_path)
    # Systemd asks every half second.
    device = dataclasses.replace(device, environment={"WATCHDOG_USEC": "1000000"})
    with device.run(ECHO + DEAF) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        for name in ("deafen", "echo"):
            final = observer.final(tenant.send(new_command(device.thing, name)))
            assert final.state is CommandState.SUCCEEDED
        assert agent.stop() == 0


def test_two_agents_with_one_identity_do_not_fight(tenant: Tenant, tmp_path: Path):
    """The second one takes over.

    The first says so and waits instead of fighting; on one machine it does not start.
    """
    device = tenant.device(tmp_path)
    fields = {
        "endpoint": tenant.cloud.mqtt_host,
        "port": tenant.cloud.mqtt_port,
        "ca_file": str(tenant.cloud.ca_file),
    }
    (tmp_path / "twin").mkdir()
    files = {"certificate_file": "../device.crt", "key_file": "../device.key"}
    config = write_config(tmp_path / "twin", {"thing": device.thing, **fields, **files})
    twin = Device(thing=device.thing, folder=tmp_path / "twin", config_file=config)
    with device.run(name="first") as first:
        first.await_event("mqtt.subscribed", seconds=30)
        same = subprocess.run(
            device.arguments("run"), capture_output=True, text=True, timeout=60, check=False
        )
        assert same.returncode == 1
        assert "is in use by process" in same.stderr
        with twin.run(name="second") as second:
            second.await_event("mqtt.subscribed", seconds=30)
            waits = first.await_event("mqtt.identity_in_use_elsewhere", seconds=30)
            assert waits["again_in_seconds"] >= 30
            with pytest.raises(
                ChildError, match="did not log"
            ):  # it must stay away: this wait cannot be an event
                first.await_event("mqtt.connected", seconds=2)
            assert second.stop() == 0
        assert first.stop() == 0
