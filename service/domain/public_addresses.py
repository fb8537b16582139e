"""Which addresses a tenant may have the platform call: those of the public Internet, and no others.

The platform's own network, its tasks' credentials (169.254.170.2) and metadata (169.254.169.254)
are what a forged target would reach; so what is not surely public is refused.
"""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# What Python's `is_global` takes for public although another address stands in it, by which a
# gateway on the way would go on. Source: IANA IPv6 Special-Purpose Address Registry; RFC 6052,
# RFC 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 4291 2.5.5.1 (IPv4-compatible).
_TRANSLATED: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)
# Within 2000::/3 IANA gives out what is routed; everything else is reserved (RFC 4291, 2.4).
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# Anycast relays of 6to4, which Python takes for public. Source: RFC 7526.
_RELAYS: Final = ipaddress.IPv4Network("192.88.99.0/24")


def is_public(text: str) -> bool:
    """Whether an address, as a resolver or a socket tells it, is one of the public Internet.

    Args:
        text: of IPv4 in four decimal parts, or of IPv6; a scope, port or name is no address.
    """
    try:
        address: Address = ipaddress.ip_address(text)
    except ValueError:
        return False  # fail closed
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        # Fail closed: what leads on to an address that nobody looked at.
        if any(address in network for network in _TRANSLATED) or address not in _GLOBAL_UNICAST:
            return False
        if address.scope_id is not None:
            return False
    elif address in _RELAYS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
