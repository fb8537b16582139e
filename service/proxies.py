"""Proxies of the environment: calls of AWS go through none, so one that is set must not count.

Whoever sets ``HTTPS_PROXY`` has a network that lets nothing else out, and would see each call end
in silence. ``NO_PROXY`` is read as Python reads it.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any, Final

from service.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMES: Final = ("HTTPS_PROXY", "ALL_PROXY")
_AROUND: Final = "NO_PROXY"
_library: Final[Any] = urllib.request  # typeshed lacks `proxy_bypass_environment`


def refuse_proxies(environment: Mapping[str, str], hosts: Iterable[str]) -> None:
    """Go on only if these hosts are to be asked without a proxy.

    Args:
        environment: its variables, whose names may be in small letters too, as curl has them.
        hosts: that are asked over HTTPS.

    Raises:
        ConfigurationError: a proxy is set, and ``NO_PROXY`` leaves out a host. The proxy's own
            address is not told: it may hold a password.
    """
    given = {name.upper(): text for name, text in environment.items() if text}
    named = [name for name in _NAMES if name in given]
    around = {"no": given.get(_AROUND, "")}
    asked = sorted(host for host in hosts if not _library.proxy_bypass_environment(host, around))
    # Fail closed: a start that is refused is seen, calls that never arrive are searched for.
    if named and asked:
        raise ConfigurationError(
            f"{named[0]} is set, and calls of AWS go through no proxy: unset it for the service,"
            f" or name in {_AROUND} what it asks by itself: {', '.join(asked)}"
        )
