"""`cedarfleet events`, `campaign`, `grants`, `wanted` and `versions`, as people type them."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.adapters.on_the_embedded_cloud.clients.conftest import PROGRAM
from tests.service.adapters.on_the_embedded_cloud.clients.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.clients.conftest import Terminal
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


@pytest.fixture
def relay(deployed: DeployedService) -> Iterator[Relay]:
    """Between the programs and the service."""
    with Relay(str(deployed.http.base_url).rstrip("/")).running() as running:
        yield running


def lines(text: str) -> list[dict[str, Any]]:
    """JSON Lines."""
    return [json.loads(one) for one in text.splitlines()]


def said(terminal: Terminal, *words: str, code: int = 0) -> Any:
    """What a command says with ``--json``, and that it ends with this code."""
    done = terminal.run(*words, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_events_are_followed_through_a_cut(
    terminal: Terminal, relay: Relay, tmp_path: Path
) -> None:
    """Cut between two commands: both are told, once each; the next run goes on behind them."""
    manager = terminal.as_person("managers")
    cursor = tmp_path / "cursor"
    words = ("events", "--type", "command.requested", "--device", "press-01", "--json")
    # What the tests before have sent may not be told yet: it is, before what is sent now.
    mark, told_before = said(manager, "send", "press-01", "stop")["id"], set[str]()
    before = tmp_path / "before"
    while mark not in told_before:
        since = ("--all",) if not before.exists() else ()
        told = manager.run(*words, *since, "--keep", str(before), "--seconds", "0")
        told_before |= {one["data"]["command"] for one in lines(told.stdout)}
    follow = subprocess.Popen(
        [PROGRAM, *words, "--keep", str(cursor), "--most", "2"],
        env=terminal.environment() | {"CEDARFLEET_API": relay.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout is not None
    while not cursor.exists():  # its first word: where it stands
        assert follow.poll() is None
        time.sleep(0.05)
    sent = [said(manager, "send", "press-01", "stop")["id"]]
    first = json.loads(follow.stdout.readline())
    relay.cut()
    sent.append(said(manager, "send", "press-01", "stop")["id"])
    rest, told = follow.communicate(timeout=60)
    assert follow.returncode == 0, told
    assert relay.cuts == 1
    assert "the connection was lost" in told
    [second] = lines(rest)
    assert [one["data"]["command"] for one in (first, second)] == sent
    assert cursor.read_text().strip() == second["cursor"]
    third = said(manager, "send", "press-01", "stop")["id"]
    again = manager.run(*words, "--keep", str(cursor), "--most", "1")
    assert [one["data"]["command"] for one in lines(again.stdout)] == [third], again.stderr
    # Nothing more is there behind it, and a person gets a line of words.
    assert manager.run(*words, "--keep", str(cursor), "--seconds", "0").stdout == ""
    shown = manager.run("events", "--after", second["cursor"], "--most", "1")
    assert f"command={third}" in shown.stdout, shown.stdout + shown.stderr


def test_who_may_not_see_refusals_follows_none(terminal: Terminal) -> None:
    """The API's no is an exit code; an unknown noun is told with those that there are."""
    operator = terminal.as_person("operators")
    assert operator.run("events", "--noun", "decision", "--seconds", "0").returncode == 4
    unknown = operator.run("events", "--noun", "weather", "--seconds", "0")
    assert unknown.returncode == 6
    assert "`weather` is none" in unknown.stderr
    assert operator.run("events", "--all", "--after", "0-0").returncode == 2


def test_a_campaign_is_begun_watched_and_canceled(terminal: Terminal, press: str) -> None:
    """One device does it, exit 0; one that is away does not, exit 1 once it was canceled."""
    manager = terminal.as_person("managers")
    done = manager.run("campaign", "begin", "reboot", "--device", press, "--wait")
    assert done.returncode == 0, done.stderr
    assert "ended: 1 succeeded" in done.stdout
    begun = said(
        manager, "campaign", "begin", "reboot", "--device", "press-01", "--device", "press-02"
    )
    slow = manager.run("campaign", "watch", begun["id"], "--patience", "0")
    assert slow.returncode == 7, slow.stdout
    said(manager, "campaign", "cancel", begun["id"])
    watched = said(manager, "campaign", "watch", begun["id"], code=1)
    assert watched["state"] == "canceled"
    devices = said(manager, "campaign", "devices", begun["id"])
    assert [one["device"] for one in devices] == ["press-01", "press-02"]
    assert said(manager, "campaign", "devices", begun["id"], "--state", "succeeded") == []
    listed = said(manager, "campaign", "list", "--most", "1")
    assert [one["id"] for one in listed] == [begun["id"]]
    assert manager.run("campaign", "begin", "reboot").returncode == 2
    both = ("--device", press, "--group", "line-press")
    assert manager.run("campaign", "begin", "reboot", *both).returncode == 2
    operator = terminal.as_person("operators")
    assert operator.run("campaign", "begin", "reboot", "--group", "line-press").returncode == 4


def test_a_grant_is_given_and_revoked(terminal: Terminal) -> None:
    """For two hours on one device; its end is now; a time without its offset is refused."""
    manager = terminal.as_person("managers")
    person = terminal.deployed.people["acme"]["operators"].email
    words = ("grants", "give", "technician-for-line", person, "--device", "press-02")
    asked = (*words, "--reason", "a colleague is away")
    given = said(manager, *asked, "--for", "2h", "--key", "one")
    assert (given["state"], given["email"], given["device"]) == ("active", person, "press-02")
    # The key stands for what was given: with another end it is another grant.
    assert manager.run(*asked, "--for", "3h", "--key", "one").returncode == 6
    listed = {one["id"]: one["state"] for one in said(manager, "grants")}
    assert listed[given["id"]] == "active"
    assert said(manager, "grants", "revoke", given["id"])["state"] in {"revoking", "revoked"}
    assert manager.run(*asked).returncode == 2
    assert manager.run(*asked, "--until", "2026-12-01T18:00:00").returncode == 2
    assert manager.run(*asked, "--for", "soon").returncode == 2
    operator = terminal.as_person("operators")
    assert operator.run(*asked, "--for", "2h").returncode == 4


def test_a_wanted_version_is_set_and_ended(terminal: Terminal, tmp_path: Path) -> None:
    """A file that was uploaded as a build of a package; what a group wants, and who runs it."""
    manager, file = terminal.as_person("managers"), tmp_path / "app.bin"
    file.write_bytes(b"the new version")
    uploaded = said(manager, "upload", str(file), "apps/line.bin", "--package", "line-app", "3.1")
    wish = said(
        manager,
        *("wanted", "set", "line-press", "line-app", uploaded["id"]),
        *("--devices-per-hour", "60", "--window", "22:00-04:00", "--utc-offset", "+01:00"),
    )
    assert (wish["version"], wish["state"], wish["window"]) == ("3.1", "active", "22:00-04:00")
    [listed] = said(manager, "wanted", "list", "line-press")
    assert (listed["package"], listed["devices_per_hour"]) == ("line-app", 60)
    shown = said(manager, "wanted", "show", "line-press", "line-app")
    assert shown["wanted"]["version"] == "3.1"
    assert sum(shown["counts"].values()) >= 2
    operator = terminal.as_person("operators")
    assert operator.run("wanted", "end", "line-press", "line-app").returncode == 4
    manager = terminal.as_person("managers")
    said(manager, "wanted", "end", "line-press", "line-app")
    assert said(manager, "wanted", "list", "line-press") == []
    assert manager.run("wanted", "show", "line-press", "line-app").returncode == 5


def test_versions_are_counted_and_listed(terminal: Terminal, press: str) -> None:
    """What the agent says that it runs is counted, and its device is listed."""
    manager = terminal.as_person("managers")
    device = terminal.deployed.watch(
        f"/v1/devices/{press}", lambda seen: bool(seen["reported"]["packages"]), seconds=60
    )
    [(package, version), *_] = device["reported"]["packages"].items()
    terminal.deployed.watch(f"/v1/versions?package={package}", lambda seen: bool(seen["versions"]))
    counted = said(manager, "versions")
    assert {"package": package, "version": version, "devices": 1} in counted
    running = said(manager, "versions", package, "--version", version)
    assert [one["device"] for one in running] == [press]
    assert said(manager, "versions", package, "--version", "0.0.0") == []
    assert manager.run("versions", "--version", "1").returncode == 2
    assert manager.run("versions", "no-such").returncode == 5
