"""No address leads inside, in whatever spelling; public ones are called."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.public_addresses import is_public
from service.domain.webhooks import callable_addresses, target
from service.errors import InvalidRequestError

INSIDE = {
    "this host": "0.0.0.0",  # noqa: S104 - as an address to call
    "loopback": "127.0.0.1",
    "loopback, another": "127.9.9.9",
    "a private network": "10.0.0.7",
    "another": "172.16.0.1",
    "and another": "192.168.1.1",
    "the task's credentials": "169.254.170.2",
    "the metadata of a machine": "169.254.169.254",
    "the resolver of a network": "169.254.169.253",
    "the provider's own": "100.64.0.1",
    "protocol assignments": "192.0.0.1",
    "documentation": "198.51.100.7",
    "benchmarks": "198.18.0.1",
    "relays of 6to4": "192.88.99.1",
    "many": "224.0.0.1",
    "all": "255.255.255.255",
    "reserved": "240.0.0.1",
    "loopback of IPv6": "::1",
    "nobody": "::",
    "a link": "fe80::1",
    "a link with its scope": "fe80::1%eth0",
    "a private network of IPv6": "fd00:ec2::254",
    "a site": "fec0::1",
    "many of IPv6": "ff02::1",
    "documentation of IPv6": "2001:db8::1",
    "mapped credentials": "::ffff:169.254.170.2",
    "mapped in hex": "::ffff:a9fe:aa02",
    "mapped loopback": "::ffff:127.0.0.1",
    "compatible": "::169.254.170.2",
    "NAT64": "64:ff9b::a9fe:aa02",
    "NAT64 of a site": "64:ff9b:1::a9fe:aa02",
    "6to4": "2002:a9fe:aa02::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "ISATAP of nobody": "fe80::5efe:a9fe:aa02",
    "reserved of IPv6": "4000::1",
    "a name": "localhost",
    "a number": "2852039170",
    "octal": "0251.0376.0252.02",
    "hex": "0xa9.0xfe.0xaa.0x02",
    "short": "127.1",
    "with a port": "93.184.216.34:443",
    "with brackets": "[2606:4700::1111]",
    "nothing": "",
}
TARGETS = {
    "plain": "http://hooks.example.com/",
    "another port": "https://hooks.example.com:8443/",
    "port of plain": "https://hooks.example.com:80/",
    "a user": "https://a@hooks.example.com/",
    "a password": "https://a:b@hooks.example.com/",
    "a user that is a host": "https://hooks.example.com@169.254.170.2/",
    "an address": "https://169.254.170.2/v2/credentials",
    "a public address": "https://93.184.216.34/",
    "IPv6": "https://[::1]/",
    "mapped": "https://[::ffff:169.254.170.2]/",
    "decimal": "https://2852039170/",
    "octal": "https://0251.0376.0252.02/",
    "hex": "https://0xa9.0xfe.0xaa.0x02/",
    "short": "https://127.1/",
    "no point": "https://localhost/",
    "an end": "https://hooks.example.com./",
    "capitals": "https://HOOKS.example.com/",
    "full width": "https://１６９.254.170.2/",  # noqa: RUF001 - as it is tried
    "a point of another script": "https://169。254。170。2/",
    "a back slash": "https://hooks.example.com\\@169.254.170.2/",
    "a fragment": "https://hooks.example.com#@169.254.170.2/",
    "a tab": "https://hooks.exa\tmple.com/",
    "a line end": "https://hooks.example.com/\r\nHost: x",
    "blank": "https://hooks.example.com/a b",
    "of a file": "file:///etc/passwd",
    "no scheme": "//hooks.example.com/",
    "escapes": "https://%31%36%39.254.170.2/",
    "a port that is none": "https://hooks.example.com:x/",
    "too long": f"https://hooks.example.com/{'a' * 2000}",
}


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
def test_what_is_not_surely_public_is_not_called(address: str) -> None:
    """Whatever it is written as; a name whose other addresses are public neither."""
    assert not is_public(address)
    assert callable_addresses(["93.184.216.34", address]) == ()


def test_what_is_public_is_called() -> None:
    """Both families, each once; of nothing, nothing."""
    found = ["93.184.216.34", "2606:4700::1111", "93.184.216.34", "::ffff:93.184.216.34"]
    assert callable_addresses(found) == (found[0], found[1], found[3])
    assert callable_addresses([]) == ()


@given(st.integers(0, 2**32 - 1))
def test_an_address_in_another_is_as_good_as_that(number: int) -> None:
    """Mapped it is the same address; translated by a gateway, nobody knows."""
    inner = ipaddress.IPv4Address(number)
    assert is_public(f"::ffff:{inner}") == is_public(str(inner))
    assert not is_public(str(ipaddress.IPv6Address((0x64FF9B << 96) | number)))
    assert not is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)))
    if inner.is_private or inner.is_link_local:
        assert not is_public(str(inner))


@pytest.mark.parametrize("url", TARGETS.values(), ids=TARGETS)
def test_a_target_is_https_to_a_name(url: str) -> None:
    """On port 443 and without a user; an address in any spelling is no name."""
    with pytest.raises(InvalidRequestError):
        target(url)


def test_a_target_is_its_host_and_path() -> None:
    """The port may be said."""
    assert target("https://hooks.example.com") == ("hooks.example.com", "/")
    assert target("https://a-1.example.com:443/x?y=z") == ("a-1.example.com", "/x?y=z")
