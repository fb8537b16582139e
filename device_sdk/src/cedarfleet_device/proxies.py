"""Which HTTP proxy carries a connection: that of the file, that of the environment, or none.

``HTTPS_PROXY`` and ``NO_PROXY`` are read as curl reads them (man curl, ENVIRONMENT), in either
case; a server of this machine is never asked for by way of the environment's. User and password
stand in the address as in any URL, and nowhere else: neither in a log nor in an error.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from cedarfleet_device.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECT: Final = "direct"
"""Instead of an address: no proxy, whatever the environment says."""
_ADDRESS: Final = re.compile(
    r"(?:http://)?(?:(?P<user>[^\s/:@]*)(?::(?P<password>[^\s/@]*))?@)?"
    r"(?P<host>[^\s/:@\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})/?"
)
_SECRET: Final = re.compile(r"(?s)^(?:[^/@]*://)?.*@")
_MOST_PORT: Final = 65_535


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy that is asked for tunnels (CONNECT).

    Attributes:
        host: name or address, without brackets.
        user: empty: it asks for none.
        password: likewise.
    """

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` (RFC 7617); None: there is nobody to name."""
        if not self.user:
            return None
        plain = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(plain).decode()}"


def read_proxy(key: str, text: str) -> Proxy | None:
    """The proxy of ``text``; None: it is empty or ``direct``.

    Raises:
        ConfigError: not of its form; names ``key``, and shows nothing in front of an ``@``.
    """
    if text in ("", DIRECT):
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= _MOST_PORT:
        raise ConfigError(
            f"`{key}` is `{_SECRET.sub('...@', text)}`, it must be `host:port`, with credentials"
            f" `http://user:password@host:port`, or `{DIRECT}`"
        )
    return Proxy(
        host=found["host"].strip("[]"),
        port=int(found["port"]),
        user=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
    )


def proxy_for(
    host: str, *, key: str, text: str, environment: Mapping[str, str] | None = None
) -> Proxy | None:
    """The proxy by way of which ``host`` is reached over TLS; None: directly.

    Args:
        host: without brackets.
        key: of the configuration, for people.
        text: what stands there; empty: the environment decides.
        environment: its variables; None: those of this process.

    Raises:
        ConfigError: it is not of its form.
    """
    variables = os.environ if environment is None else environment
    if text or is_this_machine(host) or _is_excluded(host, _either(variables, "no_proxy")):
        return read_proxy(key, text)
    return read_proxy("HTTPS_PROXY", _either(variables, "https_proxy"))


def read_environment() -> None:
    """Refuse a proxy of the environment that is none, before anybody needs it.

    Raises:
        ConfigError: not of its form.
    """
    read_proxy("HTTPS_PROXY", _either(os.environ, "https_proxy"))


def is_this_machine(host: str) -> bool:
    """Whether ``host`` is this machine's loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _either(variables: Mapping[str, str], name: str) -> str:
    return (variables.get(name) or variables.get(name.upper()) or "").strip()


def _is_excluded(host: str, listed: str) -> bool:
    return any(_matches(host.lower(), each.strip().lower()) for each in listed.split(","))


def _matches(host: str, pattern: str) -> bool:
    """Whether an entry of ``NO_PROXY`` means ``host``: a name with all under it, or a network."""
    if pattern == "*":
        return True
    try:
        return ip_address(host) in ip_network(pattern, strict=False)
    except ValueError:
        name = pattern.lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
