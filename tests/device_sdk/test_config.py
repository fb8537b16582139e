"""The configuration: every key documented, every mistake named."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import cedarfleet_device
import pytest
from cedarfleet_device import ConfigError, DeviceConfig

EXAMPLE = Path(cedarfleet_device.__file__).with_name("device.example.toml")
LEAST = """
thing = "acme--press-07"
endpoint = "localhost"
ca_file = "ca.pem"
certificate_file = "device.crt"
key_file = "device.key"
state_dir = "state"
download_dir = "/srv/downloads"
"""


def load(folder: Path, text: str) -> DeviceConfig:
    """Write and read a configuration."""
    (folder / "device.toml").write_text(text)
    return DeviceConfig.load(folder / "device.toml")


def keys(cls: Any, prefix: str = "") -> set[str]:
    """Every key of a configuration, dotted."""
    hints = get_type_hints(cls, localns={"Path": Path})
    found: set[str] = set()
    for each in fields(cls):
        found |= (
            keys(hints[each.name], f"{prefix}{each.name}.")
            if is_dataclass(hints[each.name])
            else {prefix + each.name}
        )
    return found


def test_the_example_documents_every_key_with_its_default(tmp_path: Path):
    """The example names every key, and its values are the defaults."""
    text = EXAMPLE.read_text()
    example = DeviceConfig.load(EXAMPLE)
    plain = load(tmp_path, LEAST)
    assert (example.connection, example.commands, example.downloads) == (
        plain.connection,
        plain.commands,
        plain.downloads,
    )
    assert example.provisioning == plain.provisioning
    named: set[str] = set()
    prefix = ""
    for line in text.splitlines():
        if table := re.match(r"\[([a-z_.]+)\]", line):
            prefix = table[1] + "."
            named.add(table[1])
        elif key := re.match(r"(?:# )?([a-z_0-9]+) = .*# ", line):
            named.add(prefix + key[1])
    assert keys(DeviceConfig) <= named


def test_paths_are_relative_to_the_file(tmp_path: Path):
    """A device's folder can be moved as a whole."""
    config = load(tmp_path, LEAST)
    assert config.key_file == tmp_path / "device.key"
    assert config.download_dir == Path("/srv/downloads")
    assert config.tenant == "acme"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("keep_alive = 3", "unknown key `keep_alive`"),
        (
            "[connection]\nkeepalive = 3",
            "unknown key `connection.keepalive`; known are keep_alive_seconds",
        ),
        ("port = '8883'", "`port` is `8883`, it must be a whole number"),
        ("port = true", "`port` is `True`, it must be a whole number"),
        ("port = 70000", "`port` is 70000, it must be 1 to 65535"),
        (
            "[connection]\nkeep_alive_seconds = 1",
            "`connection.keep_alive_seconds` is 1, it must be 5 to 1200",
        ),
        ("[connection]\nreconnect_max_seconds = 0.1", "must not be below"),
        ("connection = 3", "`connection` must be a table"),
        ("[downloads]\nconnections = 0", "`downloads`: `connections` is 0"),
        (
            "[provisioning.parameters]\nline = 3",
            "`provisioning.parameters` must be a table of strings",
        ),
        ("log_level = 'LOUD'", "`log_level` is `LOUD`"),
        ("x =", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, change: str, words: str):
    """Unknown keys, wrong types, values out of range say where they are and what is right."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, LEAST + change)
    assert words in str(caught.value)
    assert "device.toml" in str(caught.value)


@pytest.mark.parametrize("key", list(tomllib.loads(LEAST)))
def test_a_missing_key_is_named(tmp_path: Path, key: str):
    """What has no default must be there."""
    lines = [line for line in LEAST.splitlines() if not line.startswith(key)]
    with pytest.raises(ConfigError, match=f"key `{key}` is missing"):
        load(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    "change",
    ["thing = 'press-07'", "endpoint = 'https://host'", "endpoint = 'host:8883'", "endpoint = ''"],
)
def test_names_are_checked(tmp_path: Path, change: str):
    """A thing name carries its tenant, and an endpoint is a host name."""
    key = change.split(" ", 1)[0]
    lines = [line for line in LEAST.splitlines() if not line.startswith(key)]
    with pytest.raises(ConfigError, match=f"`{key}`"):
        load(tmp_path, "\n".join([*lines, change]))


def test_a_missing_file_is_named(tmp_path: Path):
    """No file, no traceback."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml` cannot be read: No such file"):
        DeviceConfig.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("endpoint", "first", "last"),
    [("a1-ats.iot.eu-central-1.amazonaws.com", 1.0, 1.0), ("localhost", 0.1, 0.5)],
)
def test_a_device_comes_back_no_sooner_than_aws_takes_it(
    tmp_path: Path, endpoint: str, first: float, last: float
):
    """AWS takes one CONNECT a second; a broker of this machine takes what it is asked for."""
    quick = "[connection]\nreconnect_min_seconds = 0.1\nreconnect_max_seconds = 0.5\n"
    config = load(tmp_path, LEAST.replace("localhost", endpoint) + quick)
    assert (config.first_pause_seconds, config.last_pause_seconds) == (first, last)
