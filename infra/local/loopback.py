"""HTTP to this machine's own addresses, which have no TLS."""

from __future__ import annotations

import ssl
from typing import Final

NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, so whoever answers by TLS all the same is refused: fail closed.

`httpx` reads all of the system's authorities for each client that is given none (17 ms of CPU).
"""
