"""Desired and reported state, over the embedded cloud's shadows: whatever happens in between."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cedarfleet_device
import pytest
from cedarfleet_device import Agent, CommandFailedError, ConfigError, DeviceConfig
from cedarfleet_device.wire import STATE_SHADOW, DesiredState, ReportedState, state_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.device_sdk.devices import Device, Tenant

SECONDS = 30.0


class Cloud:
    """What the service does: asks by HTTP, and reads what the device answered."""

    def __init__(self, tenant: Tenant, device: Device) -> None:
        self._data = tenant.cloud.client("iot-data")
        self._shadow = {"thingName": device.thing, "shadowName": STATE_SHADOW}

    def ask(self, key: str, value: object, *, asked_at: int, version: int = 1) -> None:
        """Desire a value."""
        desired = DesiredState(version=version, value=state_value(value), asked_at=asked_at)
        document = {"state": {"desired": {key: desired.members()}}}
        self._data.update_thing_shadow(**self._shadow, payload=json.dumps(document).encode())

    def answer(self, key: str, *, asked_at: int) -> ReportedState:
        """Wait for the device's answer to what was asked then."""
        deadline = time.monotonic() + SECONDS
        while True:
            shadow = self._data.get_thing_shadow(**self._shadow)
            reported = json.loads(shadow["payload"].read())["state"].get("reported", {})
            if key in reported:
                found = ReportedState.of(reported[key])
                if found.asked_at == asked_at:
                    return found
            assert time.monotonic() < deadline, reported
            time.sleep(
                0.2
            )  # a shadow that is read tells nobody when it changes; 20 a second a thing


class Press:
    """A device's handler: keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.called = threading.Event()
        self.does: Callable[[object], object] = lambda _: None

    def set_speed(self, value: object) -> object:
        """As a maker writes it."""
        self.calls.append(value)
        self.called.set()
        return self.does(value)


def running(device: Device, press: Press, *, version: int = 1) -> Agent:
    """An agent with that handler, started."""
    agent = Agent(DeviceConfig.load(device.config_file))
    agent.state("speed-limit", version=version)(press.set_speed)
    agent.start()
    return agent


def test_what_is_desired_is_brought_about_and_answered(tenant: Tenant, tmp_path: Path):
    """Asked while the device is away and while it is there; after a restart nothing is done twice.

    A failure is answered in words and leaves the value that holds; asked again, it is tried again.
    """
    device, press = tenant.device(tmp_path), Press()
    cloud = Cloud(tenant, device)
    cloud.ask("speed-limit", {"rpm": 900}, asked_at=1)
    with running(device, press):
        first = cloud.answer("speed-limit", asked_at=1)
        assert (first.value, first.failed, first.version) == ('{"rpm":900}', None, 1)
        press.does = lambda value: {"rpm": 850, "asked": value}
        cloud.ask("speed-limit", {"rpm": 1000}, asked_at=2)
        second = cloud.answer("speed-limit", asked_at=2)
        assert json.loads(second.value or "") == {"rpm": 850, "asked": {"rpm": 1000}}

        def refuse(_: object) -> object:
            raise CommandFailedError("the guard is open")

        press.does = refuse
        cloud.ask("speed-limit", {"rpm": 1200}, asked_at=3)
        third = cloud.answer("speed-limit", asked_at=3)
        assert third.value == second.value
        assert "the guard is open" in (third.failed or "")
    assert press.calls == [{"rpm": 900}, {"rpm": 1000}, {"rpm": 1200}]
    with running(device, press):
        press.does = lambda _: None
        cloud.ask("speed-limit", {"rpm": 1200}, asked_at=4)
        fourth = cloud.answer("speed-limit", asked_at=4)
        assert (fourth.value, fourth.failed) == ('{"rpm":1200}', None)
    assert len(press.calls) == 4, "what was answered before the restart is not done again"


def test_another_version_is_refused_in_words(tenant: Tenant, tmp_path: Path):
    """A handler never sees values that it does not understand."""
    device, press = tenant.device(tmp_path), Press()
    cloud = Cloud(tenant, device)
    cloud.ask("speed-limit", 3, asked_at=1)
    cloud.ask("other", 3, asked_at=1)
    with running(device, press, version=2):
        answer = cloud.answer("speed-limit", asked_at=1)
    assert "reads version 2 of `speed-limit`, not 1" in (answer.failed or "")
    assert press.calls == []


@pytest.mark.parametrize(
    "value", ["NaN", "1e999", "[" * 900, '{"a":1,"a":2}', 7], ids=lambda odd: str(odd)[:9]
)
def test_an_odd_value_keeps_no_other_key(tenant: Tenant, tmp_path: Path, value: object):
    """What the service would never write is not shown to a handler, and the keys behind it are."""
    device, press, other = tenant.device(tmp_path), Press(), Press()
    cloud = Cloud(tenant, device)
    odd = {"wire": 1, "version": 1, "value": value, "asked_at": 1}
    payload = json.dumps({"state": {"desired": {"speed-limit": odd}}}).encode()
    tenant.cloud.client("iot-data").update_thing_shadow(
        thingName=device.thing, shadowName=STATE_SHADOW, payload=payload
    )
    cloud.ask("width", 3, asked_at=1)
    agent = Agent(DeviceConfig.load(device.config_file))
    agent.state("speed-limit")(press.set_speed)
    agent.state("width")(other.set_speed)
    agent.start()
    with agent:
        assert cloud.answer("width", asked_at=1).failed is None
    assert (press.calls, other.calls) == ([], [3])


def test_an_answer_that_was_cut_off_is_given_after_the_start(tenant: Tenant, tmp_path: Path):
    """The device went between doing it and telling it: it tells, and does not do it again."""
    device, press = tenant.device(tmp_path), Press()
    cloud = Cloud(tenant, device)
    cloud.ask("speed-limit", 3, asked_at=1)
    with running(device, press):
        told = cloud.answer("speed-limit", asked_at=1)
    # As if the answer had never left.
    tenant.cloud.client("iot-data").update_thing_shadow(
        thingName=device.thing, shadowName=STATE_SHADOW, payload=b'{"state":{"reported":null}}'
    )
    with running(device, press):
        assert cloud.answer("speed-limit", asked_at=1) == told
    assert press.calls == [3]


def test_the_example_of_the_readme_runs(tenant: Tenant, tmp_path: Path):
    """As it stands there: what is desired is answered, refused in words, and measured."""
    page = Path(cedarfleet_device.__file__).parents[2] / "README.md"
    section = page.read_text(encoding="utf-8").partition("## Telemetry and state")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    handlers: dict[str, Any] = {}
    exec(compile(found[1], str(page), "exec"), handlers)  # noqa: S102 - of our own page
    device = tenant.device(tmp_path)
    cloud = Cloud(tenant, device)
    with Agent(DeviceConfig.load(device.config_file)) as agent:
        handlers["register"](agent)
        agent.start()
        cloud.ask("speed-limit", 900, asked_at=1)
        assert cloud.answer("speed-limit", asked_at=1).value == "900"
        cloud.ask("speed-limit", 9000, asked_at=2)
        assert "at most 1000" in (cloud.answer("speed-limit", asked_at=2).failed or "")
        deadline = time.monotonic() + SECONDS
        while agent.metrics.telemetry_sent < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a counter tells nobody


@pytest.mark.parametrize(
    ("key", "version", "words"),
    [("Speed", 1, "no key of a state"), ("speed", 0, "it must be 1 to"), ("twice", 1, "two")],
)
def test_a_wrong_handler_is_refused(
    tenant: Tenant, tmp_path: Path, key: str, version: int, words: str
):
    """In words, before the agent begins."""
    press: Any = Press()
    with Agent(DeviceConfig.load(tenant.device(tmp_path).config_file)) as agent:
        agent.state("twice")(press.set_speed)
        with pytest.raises(ConfigError, match=words):
            agent.state(key, version=version)(press.set_speed)
