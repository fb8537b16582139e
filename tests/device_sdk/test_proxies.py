"""Which proxy carries a connection, and that what stands in front of its `@` is told nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cedarfleet_device import ConfigError, DeviceConfig
from cedarfleet_device.proxies import Proxy, proxy_for, read_proxy

from tests.device_sdk.devices import write_config

if TYPE_CHECKING:
    from pathlib import Path

SITE = {"HTTPS_PROXY": "http://press:s3cret@proxy.site:3128", "NO_PROXY": ".inside, 10.0.0.0/8"}


@pytest.mark.parametrize(
    ("text", "address", "who"),
    [
        ("proxy:3128", ("proxy", 3128), None),
        ("http://proxy.site:3128/", ("proxy.site", 3128), None),
        ("[2001:db8::7]:80", ("2001:db8::7", 80), None),
        ("http://press:p%40%3Ass@proxy:3128", ("proxy", 3128), "Basic cHJlc3M6cEA6c3M="),
        ("press@proxy:3128", ("proxy", 3128), "Basic cHJlc3M6"),
    ],
)
def test_an_address_is_read_with_its_credentials(
    text: str, address: tuple[str, int], who: str | None
):
    """Percent signs stand for what an address cannot hold (RFC 3986); RFC 7617 has the value."""
    proxy = read_proxy("connection.proxy", text)
    assert proxy is not None
    assert (proxy.address, proxy.authorization) == (address, who)
    assert "ss" not in repr(proxy).replace("address", "")


@pytest.mark.parametrize(
    "text",
    [
        "relay",
        "proxy:0",
        "proxy:70000",
        "https://press:s3cret@proxy:3128",
        "http://press:s3cret@proxy",
        "press:s3c ret@proxy:1",
        "http://press:s3c/ret@proxy:1\r\nX: y",
        "socks5://press:s3cret@proxy:1",
    ],
)
def test_what_is_no_address_is_refused_without_its_secret(tmp_path: Path, text: str):
    """With the key and what would be right, from the file and from the environment."""
    fields = {"thing": "acme--press-07", "endpoint": "one.site.example", "ca_file": "ca.pem"}
    for key, read in (
        ("connection.proxy", lambda: read_proxy("connection.proxy", text)),
        (
            "HTTPS_PROXY",
            lambda: proxy_for("a", key="k", text="", environment={"https_proxy": text}),
        ),
        (
            "connection.proxy",
            lambda: DeviceConfig.load(write_config(tmp_path, fields | {"connection.proxy": text})),
        ),
    ):
        with pytest.raises(
            ConfigError, match=rf"(?s)`{key}` is .* it must be `host:port`"
        ) as refused:
            read()
        assert "s3c" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "is_by_proxy"),
    [
        ("one.devices.example", True),
        ("inside.example", True),
        ("press.inside", False),
        ("inside", False),
        ("10.20.30.40", False),
        ("11.20.30.40", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
    ],
)
def test_the_environment_decides_where_the_file_is_silent(host: str, is_by_proxy: bool):
    """`NO_PROXY` holds names with all under them, and networks; this machine needs no proxy."""
    found = proxy_for(host, key="connection.proxy", text="", environment=SITE)
    assert found == (
        Proxy(host="proxy.site", port=3128, user="press", password="s3cret")
        if is_by_proxy
        else None
    )
    assert proxy_for(host, key="k", text="direct", environment=SITE) is None
    assert proxy_for(host, key="k", text="own:1", environment=SITE) == Proxy(host="own", port=1)
    assert proxy_for(host, key="k", text="", environment={**SITE, "no_proxy": "*"}) is None
    assert proxy_for(host, key="k", text="", environment={}) is None


def test_a_configuration_that_is_printed_shows_no_secret(tmp_path: Path):
    """Whoever logs the whole of it."""
    fields = {"thing": "acme--press-07", "endpoint": "one.site.example", "ca_file": "ca.pem"}
    secret = "http://press:s3cret@proxy:1"
    config = DeviceConfig.load(
        write_config(tmp_path, fields | {"connection.proxy": secret, "downloads.proxy": secret})
    )
    assert config.proxy is not None
    assert "s3cret" not in repr(config)
