"""Takes a presigned URL apart, strictly; its query is a credential and never shown."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason
from cedarfleet_device.downloads.range_client.connection import Address

# RFC 9110 allows no space or control character in a request target; one would smuggle a header into
# the request.
_REQUEST_TARGET: Final = re.compile(r"[\x21-\x7e]+")
_MAX_URL_CHARACTERS: Final = 16 * 1024


def parse_address(url: str, *, allow_http: bool) -> Address:
    """Take ``url`` apart.

    Raises:
        DownloadRefusedError: ``Reason.URL``; says what is wrong without showing the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise DownloadRefusedError(Reason.URL, "the URL of the file is malformed") from error
    problem = None
    if len(url) > _MAX_URL_CHARACTERS:
        problem = f"is longer than {_MAX_URL_CHARACTERS} characters"
    elif parts.scheme not in ("https", "http"):
        problem = "is neither https nor http"
    elif not host or "@" in parts.netloc or _REQUEST_TARGET.fullmatch(url) is None:
        problem = "has no host, carries a user, or contains characters that no URL has"
    elif parts.scheme == "http" and not allow_http and not _is_loopback(host):
        problem = f"is plain http to `{host}`; set `allow_http` if that is meant"
    elif port == 0:
        problem = "names port 0"
    if problem is not None:
        raise DownloadRefusedError(Reason.URL, f"the URL of the file {problem}")
    is_tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(is_tls=is_tls, host=host, port=port or (443 if is_tls else 80), target=target)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
