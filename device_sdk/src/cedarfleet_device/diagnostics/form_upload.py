"""Sends one file by a form of S3, again and again until it is taken, refused, or told to stop.

TLS begins at 1.2 and the server's certificate must be good; plain HTTP as files are fetched. No
error shows a field or the URL's query. Source of the form: Amazon S3 API reference, "POST Object";
the file is its last field.
"""

from __future__ import annotations

import http.client
import re
import secrets
from typing import TYPE_CHECKING, Final

from cedarfleet_device.backoff import Backoff
from cedarfleet_device.downloads.outcomes import DownloadRefusedError
from cedarfleet_device.downloads.range_client.tls import tls_context
from cedarfleet_device.downloads.range_client.url import parse_address
from cedarfleet_device.errors import CommandFailedError
from cedarfleet_device.log import event

if TYPE_CHECKING:
    import threading

    from cedarfleet_device.config import DownloadLimits
    from cedarfleet_device.downloads.range_client.connection import Address
    from cedarfleet_device.wire import LogUpload

_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 30.0
_MOST_ANSWER_BYTES: Final = 16 * 1024
_TAKEN: Final = frozenset({200, 201, 204})
_LATER: Final = 500
_SLOW_DOWN: Final = frozenset({408, 429})
_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


def send_form(
    form: LogUpload, content: bytes, *, limits: DownloadLimits, stopped: threading.Event
) -> None:
    """Send ``content`` as the form's file.

    Args:
        form: where it goes.
        content: of the file.
        limits: of downloads: authorities, proxy, and for how long a server is waited for.
        stopped: set: no further try.

    Raises:
        CommandFailedError: refused, or told to stop before it was taken.
    """
    try:
        address = parse_address(form.url, allow_http=limits.allow_http)
    except DownloadRefusedError as error:
        raise CommandFailedError(f"where the logs go is no address: {error}") from error
    boundary = secrets.token_hex(16)
    body = _body(form, content, boundary)
    backoff = Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
    problem = "it was not tried"
    while not stopped.is_set():
        try:
            status, code = _send(address, body, boundary, limits)
        except (OSError, http.client.HTTPException) as error:
            problem = f"`{address.host}` cannot be reached: {type(error).__name__}"
        else:
            if status in _TAKEN:
                return
            problem = f"`{address.host}` refused the logs: {status} {code}".rstrip()
            if status < _LATER and status not in _SLOW_DOWN:
                raise CommandFailedError(problem)
        event("logs.not_sent", reason=problem)
        stopped.wait(backoff.next_pause())
    raise CommandFailedError(f"the logs were not taken in time: {problem}")


def _send(address: Address, body: bytes, boundary: str, limits: DownloadLimits) -> tuple[int, str]:
    connection = _connection(address, limits)
    try:
        connection.request(
            "POST",
            address.target,
            body=body,
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        answer = connection.getresponse()
        found = _CODE.search(answer.read(_MOST_ANSWER_BYTES))
        return answer.status, found[1].decode() if found else ""
    finally:
        connection.close()


def _connection(address: Address, limits: DownloadLimits) -> http.client.HTTPConnection:
    seconds = limits.stall_seconds
    if not address.is_tls:
        return http.client.HTTPConnection(address.host, address.port, timeout=seconds)
    context = tls_context(limits.ca_file)
    proxy = limits.proxy_to(address.host)
    if proxy is None:
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=seconds, context=context
        )
    connection = http.client.HTTPSConnection(*proxy.address, timeout=seconds, context=context)
    who = {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
    connection.set_tunnel(address.host, address.port, headers=who)
    return connection


def _body(form: LogUpload, content: bytes, boundary: str) -> bytes:
    parts: list[bytes] = []
    for name, value in form.fields.items():
        # Fail closed: a quote or a line's end would write a field of its own.
        if re.fullmatch(r"[A-Za-z0-9-]+", name) is None or "\r" in value or "\n" in value:
            raise CommandFailedError("where the logs go is no form")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        parts.append(f"{head}{value}\r\n".encode())
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="logs"\r\n'
    parts.append(f"{head}Content-Type: application/gzip\r\n\r\n".encode())
    return b"".join((*parts, content, f"\r\n--{boundary}--\r\n".encode()))
